package containerpg

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A login is a user and password to try, and where the password came from.
type login struct {
	user     string
	password string
	source   string // never holds the password
}

// An account is what a container's environment says about one user.
type account struct {
	login
	database string // the database made for this user; may be empty
}

// A family is how one line of images names its settings. Each name may be
// followed by _FILE, and then holds the path of a file with the value.
type family struct {
	user        string
	defaultUser string // if that is not set; none means that it must be
	password    string
	database    string // if it is not set, the database is named like the user
}

// families lists the variables of the images we know: those for administrators
// before those for the users they make, and where images share the name of a
// password, the one whose user must be named first.
var families = []family{
	{"PGUSER_SUPERUSER", "postgres", "PGPASSWORD_SUPERUSER", ""},                      // spilo
	{"", "postgres", "POSTGRESQL_POSTGRES_PASSWORD", ""},                              // bitnami
	{"", "postgres", "POSTGRES_POSTGRES_PASSWORD", ""},                                // bitnami
	{"", "postgres", "POSTGRESQL_ADMIN_PASSWORD", ""},                                 // sclorg
	{"POSTGRESQL_USER", "", "POSTGRESQL_PASSWORD", "POSTGRESQL_DATABASE"},             // sclorg
	{"POSTGRESQL_USERNAME", "postgres", "POSTGRESQL_PASSWORD", "POSTGRESQL_DATABASE"}, // bitnami
	{"POSTGRES_USERNAME", "", "POSTGRES_PASSWORD", "POSTGRES_DATABASE"},               // bitnami's other spelling
	{"POSTGRES_USER", "postgres", "POSTGRES_PASSWORD", "POSTGRES_DB"},                 // official
	{"POSTGRES_USER", "docker", "POSTGRES_PASS", "POSTGRES_DBNAME"},                   // kartoza
}

// accounts reads the users, passwords and databases that a container's
// environment names. lookup answers the value of a variable, or of its _FILE.
// Without any password there is still the user that the official image makes.
func accounts(lookup func(name string) (value, source string)) []account {
	var list []account
	taken := map[string]bool{}
	for _, f := range families {
		a := f.account(lookup)
		a.password, a.source = lookup(f.password)
		if a.user == "" || a.password == "" || taken[f.password] {
			continue
		}
		taken[f.password] = true
		list = append(list, a)
	}
	if len(list) == 0 {
		official := family{user: "POSTGRES_USER", defaultUser: "postgres", database: "POSTGRES_DB"}
		list = append(list, official.account(lookup))
	}
	return list
}

func (f family) account(lookup func(string) (string, string)) account {
	a := account{login: login{user: f.defaultUser}}
	if user, _ := lookup(f.user); user != "" {
		a.user = user
	}
	if f.database == "" {
		return a
	}
	a.database = a.user
	if database, _ := lookup(f.database); database != "" {
		a.database = database
	}
	return a
}

// logins lists what to try for one address, in order: the user's own password
// with each candidate user, then what the container's environment says.
func logins(sel Selector, accounts []account, passwords []login) []login {
	var list []login
	add := func(l login) {
		same := func(o login) bool { return o.user == l.user && o.password == l.password }
		if !slices.ContainsFunc(list, same) {
			list = append(list, l)
		}
	}
	var users []string
	if sel.User != "" {
		users = []string{sel.User}
	} else {
		for _, a := range accounts {
			users = append(users, a.user)
		}
	}
	for _, user := range users {
		for _, p := range passwords {
			if p.user == user {
				add(p)
			}
		}
	}
	for _, a := range accounts {
		if a.password != "" && slices.Contains(users, a.user) {
			add(a.login)
		}
	}
	if len(list) == 0 && len(users) > 0 {
		add(login{user: users[0]}) // the server may trust its network
	}
	return list
}

// A hostPort is a name under which a password file may know a server.
type hostPort struct {
	host string
	port int
}

// ownPasswords answers the passwords that the user of this program provides for
// a user of the server, by PGPASSWORD or a password file, under every name by
// which the server may be known there.
func ownPasswords(user, database string, hosts []hostPort) ([]login, error) {
	source := "the password file"
	if os.Getenv("PGPASSWORD") != "" {
		source = "PGPASSWORD"
	}
	var list []login
	for _, h := range hosts {
		config, err := parseConfig(h.host, h.port, user, database)
		if err != nil {
			return nil, err
		}
		l := login{user: user, password: config.Password, source: source}
		if l.password != "" && !slices.Contains(list, l) {
			list = append(list, l)
		}
	}
	return list, nil
}

// parseConfig makes a configuration from these values and from the password that
// libpq would find for them. Nothing else of the environment is let in: it is
// likely to be meant for the other end of a migration. TLS is used only with a
// server that insists: the wire seldom leaves the machine.
func parseConfig(host string, port int, user, database string) (*pgx.ConnConfig, error) {
	words := []string{
		"host", host, "port", strconv.Itoa(port), "user", user, "dbname", database, "sslmode", "allow", "connect_timeout", "10",
		"sslcert", "", "sslkey", "", "sslrootcert", "", "sslnegotiation", "postgres", "sslcertmode", "disable",
		"channel_binding", "prefer", "require_auth", "", "target_session_attrs", "any",
	}
	var conninfo strings.Builder
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for i := 0; i < len(words); i += 2 {
		conninfo.WriteString(words[i] + "='" + quote.Replace(words[i+1]) + "' ")
	}
	config, err := pgx.ParseConfig(conninfo.String())
	if err != nil {
		return nil, err
	}
	config.RuntimeParams = map[string]string{"application_name": "pgberth"}
	return config, nil
}
