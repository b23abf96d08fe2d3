package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// Target is the server a database is restored into, with one session on it
// outside the database being restored.
type Target struct {
	Name       string // the database's final name
	Version    int    // of the server, as server_version_num counts
	Superuser  bool
	CreateDB   bool
	CreateRole bool

	endpoint *conninfo.Endpoint
	admin    *pgx.Conn
	reporter progress.Reporter
	runID    uint32
	indexMem int64 // maintenance_work_mem, as the server has it, in bytes
}

// OpenTarget connects to the server at endpoint, whose database is the final
// name. In place, the session is in that database itself, since the role may
// be allowed no other; else it is in postgres or template1, which cannot be
// in the way.
func OpenTarget(ctx context.Context, endpoint *conninfo.Endpoint, inPlace bool, reporter progress.Reporter) (*Target, error) {
	if reporter == nil {
		reporter = progress.Discard
	}
	name := endpoint.Database()
	databases := []string{"postgres", "template1"}
	if inPlace {
		databases = []string{name}
	}
	var failures []error
	for _, host := range endpoint.Hosts() {
		for _, database := range databases {
			if database == name && !inPlace {
				continue
			}
			t := &Target{Name: name, endpoint: host, reporter: reporter}
			err := t.connect(ctx, database)
			if err == nil {
				return t, nil
			}
			failures = append(failures, fmt.Errorf("target %s: connect to database %q: %w", endpoint.Name, database, err))
			if !session.HasCode(err, "3D000", "55000") {
				break // only a missing database makes the next one worth trying
			}
		}
	}
	return nil, errors.Join(failures...)
}

func (t *Target) connect(ctx context.Context, database string) error {
	admin, err := t.session(ctx, database, "UTF8", "")
	if err != nil {
		return err // a session that was lost stays, for Close
	}
	t.admin = admin
	t.Version = session.Version(t.admin)
	return t.admin.QueryRow(ctx, `
SELECT rolsuper, rolsuper OR rolcreatedb, rolsuper OR rolcreaterole,
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem'))
FROM pg_catalog.pg_roles WHERE rolname = current_user`).Scan(&t.Superuser, &t.CreateDB, &t.CreateRole, &t.indexMem)
}

// session opens a session in a database of the server. Warnings of the server
// reach the user.
func (t *Target) session(ctx context.Context, database, encoding, setup string) (*pgx.Conn, error) {
	return session.Open(ctx, t.endpoint.WithDatabase(database).Config, session.Options{
		Encoding: encoding, Setup: setup,
		OnNotice: func(severity, text string) {
			t.reporter.Report(progress.Warning{Object: "target", Text: strings.ToLower(severity) + ": " + text})
		},
	})
}

// Admin is the session outside the database being restored.
func (t *Target) Admin() *pgx.Conn { return t.admin }

// Close ends the session, and with it the run's locks.
func (t *Target) Close(ctx context.Context) error { return t.admin.Close(context.WithoutCancel(ctx)) }

// reconnect replaces a session that was lost, for the cleanup after a failure.
// A server that recovers from a crash is waited for until ctx ends.
func (t *Target) reconnect(ctx context.Context) error {
	if !t.admin.IsClosed() {
		return nil
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := t.connect(ctx, t.admin.Config().Database)
		if !session.HasCode(err, "57P03") {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// dropDatabase drops a database and ends the sessions in it. The server waits
// five seconds for those, which may not be enough where it has much to do.
func (t *Target) dropDatabase(ctx context.Context, name string) error {
	const attempts = 6
	for attempt := 1; ; attempt++ {
		err := t.cleanUp(ctx, "DROP DATABASE IF EXISTS "+catalog.Quote(name)+" WITH (FORCE)")
		if attempt == attempts || !isInUse(err) {
			return err
		}
	}
}

// dropStaging drops a database that a run has made. Subscriptions in it would
// keep it; they go without a word to the publisher, whose slot is not theirs.
func (t *Target) dropStaging(ctx context.Context, name string) error {
	err := t.dropDatabase(ctx, name)
	if !isInUse(err) {
		return err
	}
	if subsErr := t.dropSubscriptions(ctx, name); subsErr != nil {
		return errors.Join(err, subsErr)
	}
	return t.dropDatabase(ctx, name)
}

func (t *Target) dropSubscriptions(ctx context.Context, database string) error {
	conn, err := t.session(ctx, database, "UTF8", "")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `
SELECT subname::text FROM pg_catalog.pg_subscription
WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`)
	if err != nil {
		return fmt.Errorf("list the subscriptions: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list the subscriptions: %w", err)
	}
	for _, name := range names {
		sub := catalog.Quote(name)
		for _, sql := range []string{"ALTER SUBSCRIPTION " + sub + " DISABLE", "ALTER SUBSCRIPTION " + sub + " SET (slot_name = NONE)", "DROP SUBSCRIPTION " + sub} {
			if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("drop subscription %s: %w", name, err)
			}
		}
	}
	return nil
}

func (t *Target) dropRoles(ctx context.Context, names []string) error {
	return t.cleanUp(ctx, "DROP ROLE IF EXISTS "+quoteAll(names))
}

// quoteAll lists names as SQL identifiers.
func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = catalog.Quote(name)
	}
	return strings.Join(quoted, ", ")
}

// cleanUp runs a statement that may be run twice, in a new session if the one
// there was is lost, which may show only when it is used. A request to cancel
// what ran before may reach the server late, and end this statement instead.
func (t *Target) cleanUp(ctx context.Context, sql string) error {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		if err := t.reconnect(ctx); err != nil {
			return err
		}
		err := t.outsideTransaction(ctx, sql)
		again := t.admin.IsClosed() || session.HasCode(err, "57014")
		if err == nil || !again || attempt == attempts || ctx.Err() != nil {
			return err
		}
	}
}

func (t *Target) outsideTransaction(ctx context.Context, sql string) error {
	if t.admin.PgConn().TxStatus() != 'I' { // the ROLLBACK was cancelled
		if _, err := t.admin.Exec(ctx, "ROLLBACK", pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
	}
	_, err := t.admin.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}
