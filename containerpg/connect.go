package containerpg

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// An outcome is what became of an attempt to log in.
type outcome int

const (
	connected   outcome = iota
	refusedUser         // the server answered and did not take these credentials
	refusedDB           // nor this database
	starts              // the server answered that it is starting or stopping
	notYet              // nobody listens, which may change
	noAnswer            // nothing that could answer is there
	failed              // the server answered with an error of another kind
)

// SQLSTATEs that tell credentials from other troubles.
const (
	invalidPassword      = "28P01"
	invalidAuthorization = "28000" // no such role, or nothing in pg_hba.conf
	invalidCatalogName   = "3D000"
	insufficientRights   = "42501" // no CONNECT privilege
	cannotConnectNow     = "57P03"
	adminShutdown        = "57P01" // as a session of an entrypoint's temporary server ends
)

func classify(err error) outcome {
	var pgErr *pgconn.PgError
	var netErr net.Error
	var tunnelErr *TunnelError
	switch {
	case err == nil:
		return connected
	case errors.As(err, &pgErr):
		switch pgErr.Code {
		case invalidPassword, invalidAuthorization:
			return refusedUser
		case invalidCatalogName, insufficientRights:
			return refusedDB
		case cannotConnectNow, adminShutdown:
			return starts
		}
		return failed
	case errors.As(err, &tunnelErr):
		if tunnelErr.notListening() {
			return notYet
		}
		return noAnswer
	case errors.As(err, &netErr) && netErr.Timeout():
		return noAnswer
	// A port proxy accepts before the server listens, and then hangs up; a socket
	// is not there yet.
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return notYet
	}
	return noAnswer
}

// reason says in a few words what went wrong with an attempt. The whole error of
// the driver would repeat the address and user at length.
func reason(err error) string {
	var pgErr *pgconn.PgError
	var netErr net.Error
	var errno syscall.Errno
	var tunnelErr *TunnelError
	switch {
	case errors.As(err, &pgErr):
		return pgErr.Message
	case errors.As(err, &tunnelErr):
		return tunnelErr.Error()
	case errors.As(err, &netErr) && netErr.Timeout():
		return "no answer"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed by the other side"
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// login connects to a at the database. On success the configuration is the one
// that worked, without alternatives; each of its connections looks for the
// container again.
func (v *visit) login(ctx context.Context, a address, l login, database string, master postmaster) (*pgx.Conn, *pgx.ConnConfig, error) {
	config, err := parseConfig(a.name(v.box), a.port, l.user, database)
	if err != nil {
		return nil, nil, fmt.Errorf("configure connection to %s: %w", a.where(), err)
	}
	config.Password = l.password
	if !a.isTCP() {
		config.TLSConfig, config.Fallbacks = nil, nil
		config.ConnectTimeout = max(config.ConnectTimeout, a.dial)
		config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
	attempt := config.Copy()
	attempt.DefaultQueryExecMode = pgx.QueryExecModeExec // a round trip for a batch, where a far server is asked once
	attempt.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return v.e.dial(ctx, v.box, a) }
	conn, err := pgx.ConnectConfig(ctx, attempt)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return nil, nil, pgErr // the driver's own error holds the whole configuration
	}
	if err != nil {
		return nil, nil, err
	}
	if _, encrypted := conn.PgConn().Conn().(*tls.Conn); encrypted {
		for _, alternative := range config.Fallbacks {
			config.TLSConfig = alternative.TLSConfig
		}
	}
	config.Fallbacks = nil
	e, b := v.e, v.box
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return e.redial(ctx, b, a, master) }
	return conn, config, nil
}

// sameServer makes sure of every connection that it is to the server with a
// system identifier. A server that will not tell is believed.
func sameServer(name, systemIdentifier string) pgconn.ValidateConnectFunc {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		results, err := conn.Exec(ctx, "select system_identifier from pg_catalog.pg_control_system()").ReadAll()
		if refusal, refused := errors.AsType[*pgconn.PgError](err); refused && refusal.Severity != "FATAL" {
			return nil
		}
		if err != nil {
			return err
		}
		if len(results) == 1 && len(results[0].Rows) == 1 {
			return sameCluster(name, string(results[0].Rows[0][0]), systemIdentifier)
		}
		return nil
	}
}

func sameCluster(name, now, before string) error {
	if now == before {
		return nil
	}
	return fmt.Errorf("container %q holds another database cluster than before (system identifier %s, was %s)", name, now, before)
}

// interrogate fills in what the server says of itself.
func (s *Server) interrogate(ctx context.Context, conn *pgx.Conn) error {
	var questions pgx.Batch
	questions.Queue(`select current_setting('server_version'), current_setting('server_version_num')::int,
		coalesce((select rolsuper from pg_catalog.pg_roles where rolname = current_user), false)`)
	questions.Queue(`select datname::text,
			case when pg_catalog.has_database_privilege(oid, 'connect') then pg_catalog.pg_database_size(oid) else -1 end
		from pg_catalog.pg_database where datallowconn and not datistemplate order by datname`)
	questions.Queue(`select system_identifier::text from pg_catalog.pg_control_system()`)
	answers := conn.SendBatch(ctx, &questions)
	defer answers.Close()

	var version string
	if err := answers.QueryRow().Scan(&version, &s.VersionNum, &s.Superuser); err != nil {
		return fmt.Errorf("ask for the server's version: %w", err)
	}
	s.Version, _, _ = strings.Cut(version, " ")

	rows, err := answers.Query()
	if err != nil {
		return fmt.Errorf("list databases: %w", err)
	}
	if s.Databases, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Database]); err != nil {
		return fmt.Errorf("list databases: %w", err)
	}

	var pgErr *pgconn.PgError
	err = answers.QueryRow().Scan(&s.SystemIdentifier)
	if err != nil && !errors.As(err, &pgErr) { // a server may deny it
		return fmt.Errorf("ask for the server's identity: %w", err)
	}
	return nil
}
