// Package conninfo reads libpq connection strings, and hands what they say to
// pgx and to child processes that use libpq, without ever letting a password
// out: not into an error, not into an argument.
package conninfo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/copywire"
)

// Endpoint is a database and how to connect to it.
type Endpoint struct {
	// Name is how the endpoint is shown to the user. It holds no secret.
	Name string
	// Config connects to it. It holds the password and must not be printed.
	Config *pgx.ConnConfig
	// Image is the image of the container the server runs in, or "".
	Image string
	// Peer, if set, is who sessions and child processes must come from.
	Peer *Peer
	// Via says how a server in a container is reached; "" for any other.
	Via string
	// Wire, if set, carries rows instead of sessions.
	Wire copywire.Wire
	// Client, if set, is where child processes find the server, if that is not
	// where Config does.
	Client *ClientAddress

	extra    map[string]string // parameters for libpq that Config has no field for
	passFile string            // where the password comes from, or "" if it was given
}

// ClientAddress is a server's address for libpq: a host or the folder of a
// socket, and a port.
type ClientAddress struct {
	Host string
	Port int
}

// clientOnly are parameters of libpq that pgx would send to the server. They
// are left to libpq's own clients; pgx has its own keepalives and no GSSAPI
// encryption.
var clientOnly = []string{
	"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
	"gssencmode", "gsslib", "gssdelegation", "sslcompression", "load_balance_hosts",
	"ssl_min_protocol_version", "ssl_max_protocol_version", "requirepeer",
	"client_encoding", "fallback_application_name",
}

// shared are parameters that both pgx and libpq's own clients are given, apart
// from those about TLS.
var shared = []string{"options", "channel_binding", "require_auth", "krbsrvname", "connect_timeout"}

// environment are the variables that stand for parameters which libpq's own
// clients must be given: they do not get the environment itself, most of which
// may be about another server.
var environment = map[string]string{
	"hostaddr": "PGHOSTADDR", "options": "PGOPTIONS", "channel_binding": "PGCHANNELBINDING", "require_auth": "PGREQUIREAUTH",
	"krbsrvname": "PGKRBSRVNAME", "connect_timeout": "PGCONNECT_TIMEOUT", "requirepeer": "PGREQUIREPEER",
	"gssencmode": "PGGSSENCMODE", "gsslib": "PGGSSLIB", "gssdelegation": "PGGSSDELEGATION",
	"sslmode": "PGSSLMODE", "sslnegotiation": "PGSSLNEGOTIATION", "sslcompression": "PGSSLCOMPRESSION",
	"sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslcertmode": "PGSSLCERTMODE", "sslrootcert": "PGSSLROOTCERT",
	"sslcrl": "PGSSLCRL", "sslcrldir": "PGSSLCRLDIR", "sslsni": "PGSSLSNI",
	"ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION", "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
}

// refused are parameters that cannot be honoured, and why.
var refused = map[string]string{
	"sslpassword": "pg_dump could take it on its command line only; use a key file without a password",
	"sslcrl":      "revocation lists are not supported",
	"sslcrldir":   "revocation lists are not supported",
	"replication": "a replication connection cannot copy tables",
}

// Parse reads a libpq URI or keyword string. What it leaves open is taken from
// the environment, the service file and the password file, as libpq does. No
// error holds any part of s that could be a secret.
func Parse(s string) (*Endpoint, error) {
	params, err := parse(s)
	if err != nil {
		return nil, err
	}
	if params, err = withService(params); err != nil {
		return nil, err
	}
	for name, variable := range environment {
		if _, given := params[name]; !given && os.Getenv(variable) != "" {
			params[name] = os.Getenv(variable)
		}
	}
	for name, why := range refused {
		if params[name] != "" {
			return nil, fmt.Errorf("connection parameter %s: %s", name, why)
		}
	}
	hostaddr := params["hostaddr"]
	if strings.Contains(hostaddr, ",") || hostaddr != "" && strings.Contains(params["host"], ",") {
		return nil, errors.New("connection parameter hostaddr: give one address, or several hosts without it")
	}
	ours := maps.Clone(params)
	extra := map[string]string{}
	for _, name := range clientOnly {
		if value, found := ours[name]; found {
			extra[name] = value
			delete(ours, name)
		}
	}
	delete(ours, "hostaddr")
	if hostaddr != "" {
		ours["host"] = hostName(cmp.Or(ours["host"], os.Getenv("PGHOST")), hostaddr)
	}
	ours["passfile"] = os.DevNull // see filePassword
	cfg, err := pgx.ParseConfig(keywords(ours))
	if err != nil {
		return nil, parseError(err)
	}
	for _, name := range append(slices.Clip(clientOnly), "hostaddr") { // pgx reads the service file again
		delete(cfg.RuntimeParams, name)
	}
	if hostaddr != "" {
		extra["hostaddr"] = hostaddr
		cfg.LookupFunc = fixedAddress(hostaddr)
	}
	for name, value := range params {
		if strings.HasPrefix(name, "ssl") || slices.Contains(shared, name) {
			extra[name] = value
		}
	}
	e := &Endpoint{Config: cfg, extra: extra}
	if cfg.Password == "" {
		e.passFile = passFilePath(params)
		e.findPassword()
	}
	e.Name = e.describe()
	return e, nil
}

// hostName is the name of the one host at an address, or the address.
func hostName(name, address string) string {
	if name == "" || strings.ContainsAny(name[:1], "/@") || strings.Contains(name, ",") {
		return address
	}
	return name
}

// findPassword takes the password from the password file, if it is to come
// from there.
func (e *Endpoint) findPassword() {
	if e.passFile != "" {
		e.Config.Password = filePassword(e.passFile, e.Config.Host, strconv.Itoa(int(e.Config.Port)), e.Database(), e.Config.User)
	}
}

// parseError keeps the reason of a pgx parse error and drops the connection
// string it quotes.
func parseError(err error) error {
	var parse *pgconn.ParseConfigError
	if !errors.As(err, &parse) {
		return syntaxError("it cannot be read")
	}
	if reason := errors.Unwrap(parse); reason != nil {
		return syntaxError("%v", reason)
	}
	// The text is "cannot parse `CONNSTRING`: reason".
	if i := strings.LastIndex(parse.Error(), "`: "); i >= 0 {
		return syntaxError("%s", parse.Error()[i+3:])
	}
	return syntaxError("it cannot be read")
}

// WithDatabase returns e with another database of the same server.
func (e *Endpoint) WithDatabase(name string) *Endpoint {
	out := *e
	out.Config = e.Config.Copy()
	out.Config.Database = name
	out.Name = out.describe()
	if strings.HasPrefix(e.Name, "docker://") {
		server, _, _ := strings.Cut(strings.TrimPrefix(e.Name, "docker://"), "/")
		out.Name = "docker://" + server + "/" + name
	}
	return &out
}

// WithPassword returns e with a password that comes from elsewhere than its connection string or a password file.
func (e *Endpoint) WithPassword(password string) *Endpoint {
	out := *e
	out.Config = e.Config.Copy()
	out.Config.Password, out.passFile = password, ""
	return &out
}

// Database returns the name of the database, which libpq lets default to the
// name of the user.
func (e *Endpoint) Database() string {
	if e.Config.Database == "" {
		return e.Config.User
	}
	return e.Config.Database
}

// Hosts returns e once for each host its connection string names. Every session
// of a run must reach the same server, so a run settles on one of them.
func (e *Endpoint) Hosts() []*Endpoint {
	all := append([]*pgconn.FallbackConfig{{
		Host: e.Config.Host, Port: e.Config.Port, TLSConfig: e.Config.TLSConfig,
	}}, e.Config.Fallbacks...)
	var hosts []*Endpoint
	for _, f := range all {
		// One host comes twice, with and without TLS, if TLS is optional.
		if n := len(hosts); n > 0 && hosts[n-1].Config.Host == f.Host && hosts[n-1].Config.Port == f.Port {
			hosts[n-1].Config.Fallbacks = append(hosts[n-1].Config.Fallbacks, f)
			continue
		}
		one := *e
		one.Config = e.Config.Copy()
		one.Config.Host, one.Config.Port, one.Config.TLSConfig, one.Config.Fallbacks = f.Host, f.Port, f.TLSConfig, nil
		if len(hosts) > 0 { // e is about the first
			one.findPassword()
			one.Name = one.describe()
		}
		hosts = append(hosts, &one)
	}
	return hosts
}

// SocketDir returns the folder of the server's unix socket, or "" for TCP.
func (e *Endpoint) SocketDir() string {
	if strings.HasPrefix(e.Config.Host, "/") || strings.HasPrefix(e.Config.Host, "@") {
		return e.Config.Host
	}
	return ""
}

// Libpq returns a keyword string for child processes that use libpq. It holds
// no password: that goes into a password file (see PassFile).
func (e *Endpoint) Libpq() string {
	params := maps.Clone(e.extra)
	if params == nil {
		params = map[string]string{}
	}
	params["host"] = e.Config.Host
	params["port"] = strconv.Itoa(int(e.Config.Port))
	if e.Client != nil {
		params["host"], params["port"] = e.Client.Host, strconv.Itoa(e.Client.Port)
	}
	params["user"] = e.Config.User
	params["dbname"] = e.Database()
	return keywords(params)
}

// PassFile returns the text of a password file (~/.pgpass) that holds the
// password for every server, or "" if there is none.
func (e *Endpoint) PassFile() string {
	if e.Config.Password == "" {
		return ""
	}
	return "*:*:*:*:" + strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(e.Config.Password) + "\n"
}

func (e *Endpoint) describe() string {
	if dir := e.SocketDir(); dir != "" {
		s := fmt.Sprintf("postgres://%s@/%s?host=%s", e.Config.User, e.Database(), dir)
		if e.Config.Port != 5432 {
			s += fmt.Sprintf("&port=%d", e.Config.Port)
		}
		return s
	}
	return fmt.Sprintf("postgres://%s@%s/%s", e.Config.User,
		net.JoinHostPort(e.Config.Host, strconv.Itoa(int(e.Config.Port))), e.Database())
}

// keywords writes params as a keyword string, in a fixed order.
func keywords(params map[string]string) string {
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	pairs := make([]string, 0, len(params))
	for _, name := range slices.Sorted(maps.Keys(params)) {
		pairs = append(pairs, name+"='"+escape.Replace(params[name])+"'")
	}
	return strings.Join(pairs, " ")
}

func fixedAddress(addr string) pgconn.LookupFunc {
	return func(context.Context, string) ([]string, error) { return []string{addr}, nil }
}
