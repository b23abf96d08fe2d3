// Package session opens PostgreSQL sessions whose settings are known, so that
// what leaves a server as text means the same on the other side, and nothing
// the server, database or role is configured with can end a long copy.
//
// The settings are the union of those pg_dump and pg_restore make, and the
// ones they leave out although the text of a value depends on them: the time
// zone, the money locale, the form of bytea, what NULL means in an array.
package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// ApplicationName is what pg_stat_activity shows for every session of pgberth.
const ApplicationName = "pgberth"

// Arrays is the first argument of a query that answers arrays of text: they come in binary, which takes a second round
// trip. As text, arrays can be taken apart in UTF-8 only.
const Arrays = pgx.QueryExecModeCacheDescribe

// Options say how a session differs from the default one.
type Options struct {
	// Encoding is the client_encoding: the encoding of the source database
	// on both sides, so that its text is relayed unconverted. Empty means
	// the encoding of the database connected to.
	Encoding string
	// Setup is further SQL for the message that makes the settings.
	Setup string
	// ReadOnly makes every transaction of the session READ ONLY.
	ReadOnly bool
	// OnNotice is called with every warning and notice of the server, from
	// the goroutine that uses the session. Nil drops them.
	OnNotice func(severity, text string)
}

// Open connects to the server cfg names and applies the settings.
func Open(ctx context.Context, cfg *pgx.ConnConfig, opts Options) (*pgx.Conn, error) {
	c := cfg.Copy()
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 15 * time.Second
	}
	c.RuntimeParams["application_name"] = ApplicationName
	// One round trip for each query. Parameters and results travel as text, whose form the settings make known.
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 2 * time.Second}
	}
	if opts.OnNotice != nil {
		c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { opts.OnNotice(n.Severity, n.Message) }
	}
	for {
		conn, err := connect(ctx, c, opts)
		// A timeout of the database or of the role may end the session, or the
		// very query that lifts it. Then it is lifted at the start. Only servers
		// that have shown to know it are told so: poolers take no strangers.
		timeout := endedBy(err)
		if timeout == "" || c.RuntimeParams[timeout] == "0" || ctx.Err() != nil {
			return conn, err
		}
		c.RuntimeParams[timeout] = "0"
	}
}

// endedBy names the timeout that ended a session or a query, if one did.
func endedBy(err error) string {
	for code, timeout := range map[string]string{
		"57014": "statement_timeout",
		"57P05": "idle_session_timeout",
		"25P04": "transaction_timeout",
	} {
		if HasCode(err, code) {
			return timeout
		}
	}
	return ""
}

func connect(ctx context.Context, c *pgx.ConnConfig, opts Options) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, ConnectError(err)
	}
	if _, err := conn.PgConn().Exec(ctx, Settings(Version(conn), opts)).ReadAll(); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("set up session: %w", err)
	}
	return conn, nil
}

// HasCode reports whether an error is the server's and has one of these SQLSTATEs.
func HasCode(err error, sqlStates ...string) bool {
	var server *pgconn.PgError
	return errors.As(err, &server) && slices.Contains(sqlStates, server.Code)
}

// Version returns the server's version as server_version_num counts: 170006
// for 17.6.
func Version(conn *pgx.Conn) int { return version(conn.PgConn().ParameterStatus("server_version")) }

func version(text string) int {
	var major, minor int
	// "17.6 (Debian 17.6-1)", "18beta1": what follows the numbers is ignored.
	if n, _ := fmt.Sscanf(text, "%d.%d", &major, &minor); n == 0 {
		return 0
	}
	return major*10000 + minor
}

// Settings returns the statements that set up a session, as one simple query,
// for sessions that Open does not open.
func Settings(version int, opts Options) string {
	// The timeouts first: they are in force until they are lifted.
	set := []string{
		"statement_timeout = 0",
		"lock_timeout = 0",
		"idle_in_transaction_session_timeout = 0",
	}
	if version >= 170000 {
		set = append(set, "transaction_timeout = 0")
	}
	if version >= 140000 {
		// A client that was killed is noticed while a statement runs.
		set = append(set, "idle_session_timeout = 0", "client_connection_check_interval = '5s'")
	}
	set = append(set,
		"search_path = ''",
		"default_transaction_isolation = 'read committed'",
		"default_transaction_deferrable = off",
		"row_security = off",
		"DateStyle = 'ISO, YMD'",
		"IntervalStyle = 'postgres'",
		"TimeZone = 'UTC'",
		"lc_monetary = 'C'",
		"extra_float_digits = 3",
		"bytea_output = 'hex'",
		"array_nulls = on",
		"quote_all_identifiers = off",
		"xmloption = content",
		"xmlbinary = base64",
		"standard_conforming_strings = on",
		"synchronize_seqscans = off",
		"check_function_bodies = off",
		"client_min_messages = warning",
		"jit = off", // compiling a catalog query takes longer than running it
		"tcp_keepalives_idle = 60",
		"tcp_keepalives_interval = 15",
	)
	if opts.ReadOnly {
		set = append(set, "default_transaction_read_only = on")
	} else {
		set = append(set, "default_transaction_read_only = off")
	}
	// The default is what the database or the role is configured with.
	encoding := "pg_catalog.getdatabaseencoding()"
	if opts.Encoding != "" {
		encoding = "'" + strings.ReplaceAll(opts.Encoding, "'", "''") + "'"
	}
	return "SET " + strings.Join(set, "; SET ") + "; SELECT pg_catalog.set_config('client_encoding', " + encoding + ", false);\n" + opts.Setup
}

// ConnectError strips a pgx connection error to its reason. The structs that
// pgx returns hold the whole configuration, the password included, and must not
// travel to where errors are marshalled or printed field by field.
func ConnectError(err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server
	}
	text := err.Error()
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		text = connect.Unwrap().Error()
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\t' })
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", strings.Join(lines, "; "), context.DeadlineExceeded)
	}
	return unreachable(strings.Join(lines, "; "))
}

// ErrUnreachable is what [ConnectError] says of a connection that broke or never was, where no server answered.
var ErrUnreachable = errors.New("the server cannot be reached")

// unreachable is the reason alone.
type unreachable string

func (u unreachable) Error() string        { return string(u) }
func (u unreachable) Is(target error) bool { return target == ErrUnreachable }
