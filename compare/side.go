package compare

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/definitions"
	"github.com/pgberth/pgberth/internal/session"
)

// oldest is the oldest server version whose catalogs the queries know.
const oldest = 130000

// A side is one of the two databases: the session that holds its snapshot, and
// what is needed to open more of them.
type side struct {
	endpoint *conninfo.Endpoint
	leader   *pgx.Conn
	encoding string // client_encoding, the same on both sides
	snapshot string
	dialect  definitions.Dialect
}

// pair is the two sides.
type pair struct{ from, to *side }

// connect opens both sides and their snapshots.
func connect(ctx context.Context, opts Options) (pair, error) {
	p := pair{&side{endpoint: opts.From}, &side{endpoint: opts.To}}
	err := p.both(func(s *side) error { return s.connect(ctx) })
	if err == nil {
		encoding := commonEncoding(p.from.encoding, p.to.encoding)
		p.from.encoding, p.to.encoding = encoding, encoding
		lowest := min(p.from.dialect.Major, p.to.dialect.Major)
		database := literal(p.from.endpoint.Database())
		err = p.both(func(s *side) error {
			s.dialect.Lowest, s.dialect.Database, s.dialect.SchemaOnly = lowest, database, opts.SchemaOnly
			return s.begin(ctx)
		})
	}
	if err != nil {
		p.close(ctx)
		return pair{}, err
	}
	return p, nil
}

// both does the same on both sides at once.
func (p pair) both(do func(*side) error) error {
	var group errgroup.Group
	for _, s := range []*side{p.from, p.to} {
		group.Go(func() error {
			if err := do(s); err != nil {
				return fmt.Errorf("compare %s: %w", s.endpoint.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (p pair) close(ctx context.Context) {
	for _, s := range []*side{p.from, p.to} {
		session.HangUp(ctx, s.leader)
	}
}

// commonEncoding returns the encoding that both databases' text can be sent
// in. Text of SQL_ASCII databases is bytes, which nothing may convert.
func commonEncoding(from, to string) string {
	switch {
	case from == to:
		return from
	case from == "SQL_ASCII" || to == "SQL_ASCII":
		return "SQL_ASCII"
	}
	return "UTF8"
}

func (s *side) connect(ctx context.Context) error {
	var failures []error
	for _, host := range s.endpoint.Hosts() {
		leader, err := session.Open(ctx, host.Config, session.Options{ReadOnly: true})
		if err == nil {
			// Further sessions must join the snapshot on the same server.
			s.endpoint, s.leader = host, leader
			break
		}
		failures = append(failures, err)
	}
	if s.leader == nil {
		return errors.Join(failures...)
	}
	version := session.Version(s.leader)
	if version < oldest {
		return fmt.Errorf("the server's version is %s; 13 or later is needed", formatVersion(version))
	}
	s.dialect.Major = version / 10000
	s.encoding = s.leader.PgConn().ParameterStatus("server_encoding")
	return nil
}

// begin takes the snapshot that every session of this side reads in.
func (s *side) begin(ctx context.Context) error {
	if _, err := s.leader.Exec(ctx, "SET client_encoding = "+literal(s.encoding)); err != nil {
		return fmt.Errorf("set the client encoding: %w", err)
	}
	if _, err := s.leader.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"); err != nil {
		return err
	}
	// Compiling a catalog query takes longer than running it.
	if _, err := s.leader.Exec(ctx, "SET LOCAL jit = off"); err != nil {
		return err
	}
	if err := s.leader.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&s.snapshot); err != nil {
		return fmt.Errorf("export a snapshot: %w", err)
	}
	const subscriptions = `SELECT EXISTS (SELECT subname FROM pg_subscription
		WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()))`
	if err := s.leader.QueryRow(ctx, subscriptions).Scan(&s.dialect.Subscriptions); err != nil {
		return fmt.Errorf("look for subscriptions: %w", err)
	}
	return nil
}

// open returns a further session in the snapshot.
func (s *side) open(ctx context.Context) (*pgx.Conn, error) {
	conn, err := session.Open(ctx, s.endpoint.Config, session.Options{ReadOnly: true, Encoding: s.encoding})
	if err != nil {
		return nil, err
	}
	if _, err = conn.PgConn().Exec(ctx, s.join()).ReadAll(); err != nil {
		session.HangUp(ctx, conn)
		return nil, fmt.Errorf("join the snapshot: %w", err)
	}
	return conn, nil
}

// join is the statements that join the snapshot.
func (s *side) join() string {
	return "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT " + literal(s.snapshot)
}

// out reads the rows of a table in the snapshot.
func (s *side) out(ctx context.Context, conn *pgx.Conn, u *unit, sql string, sink copywire.Sink) (copywire.Tally, error) {
	hash := copywire.NewRowHash(u.binary)
	if s.endpoint.Wire == nil || u.bytes < copywire.WireFrom {
		return copywire.Out(ctx, conn.PgConn(), sql, sink, hash)
	}
	settings := session.Settings(session.Version(s.leader), session.Options{ReadOnly: true, Encoding: s.encoding})
	return s.endpoint.Wire.Out(ctx, copywire.Copy{Database: s.endpoint.Database(), Setup: settings, Begin: s.join(), SQL: sql}, sink, hash)
}

func (s *side) database() Database {
	return Database{Name: s.endpoint.Name, Version: formatVersion(session.Version(s.leader))}
}

// checkReadable fails if a role may not read all that is to be compared: a
// part of a database could look the same when the whole is not.
func (p pair) checkReadable(ctx context.Context) error {
	return p.both(func(s *side) error {
		if err := s.checkUnlogged(ctx); err != nil {
			return err
		}
		sql, err := s.dialect.Render("unreadable")
		if err != nil {
			return err
		}
		rows, err := s.leader.Query(ctx, sql)
		if err != nil {
			return err
		}
		objects, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(objects) == 0 {
			return err
		}
		return s.unreadable(ctx, objects)
	})
}

// unreadable is the error for what the session's role may not read. Where a setting replaces whoever logs in, to connect as a superuser is of no use.
func (s *side) unreadable(ctx context.Context, objects []string) error {
	var role, user string
	if err := s.leader.QueryRow(ctx, "SELECT current_user, session_user").Scan(&role, &user); err != nil {
		return fmt.Errorf("ask for the session's role: %w", err)
	}
	who, remedy := "role "+role, "connect as a superuser"
	if role != user {
		who += fmt.Sprintf(" (put in the place of %s by ALTER DATABASE or ALTER ROLE ... SET role)", user)
		remedy = "set PGOPTIONS='-c role=none' to stay role " + user
		if s.endpoint.Via != "" { // the environment says nothing of servers in containers
			remedy = "ALTER DATABASE or ALTER ROLE ... RESET role to stay role " + user
		}
	}
	return fmt.Errorf("%s may not read %s; %s, or grant it to role %s", who, listing(objects), remedy, role)
}

// checkUnlogged fails if rows are to be compared that a standby does not have.
func (s *side) checkUnlogged(ctx context.Context) error {
	if s.dialect.SchemaOnly {
		return nil
	}
	rows, err := s.leader.Query(ctx, `
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE pg_is_in_recovery() AND c.relpersistence = 'u' AND c.relkind IN ('r', 'm', 'S') AND n.nspname !~ '^pg_' ORDER BY 1`)
	if err != nil {
		return err
	}
	objects, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(objects) == 0 {
		return err
	}
	return fmt.Errorf("it is a standby, which does not have what is unlogged: %s; compare with its primary, or use --schema-only", listing(objects))
}

// listing names the first of many.
func listing(objects []string) string {
	const most = 10
	if more := len(objects) - most; more > 0 {
		objects = append(objects[:most:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(objects, ", ")
}

func literal(s string) string {
	if strings.Contains(s, `\`) {
		return "E'" + strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(s) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func formatVersion(version int) string {
	return fmt.Sprintf("%d.%d", version/10000, version%10000)
}

var errOrder = errors.New("the server's order of names is not the one asked for")
