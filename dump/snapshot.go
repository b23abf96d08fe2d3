// Package dump reads a live database at one instant: its archive, as pg_dump
// writes it, and its rows, by many streams of its own.
package dump

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/internal/session"
)

// defaultLockWait bounds how long a session waits for a lock on a source table. It is
// the one timeout that is not 0: a session that waits for ACCESS EXCLUSIVE
// queues behind the snapshot's own lock, and a stream would wait behind it for
// ever, since the server cannot see that the streams belong together.
const defaultLockWait = time.Minute

// Snapshot is one instant of a database. A session of its own holds it open,
// with a lock on every table that keeps the rows of that instant readable.
type Snapshot struct {
	Version  int    // of the server, as server_version_num counts
	Encoding string // of the database
	LSN      string // where the server's WAL was when the snapshot was taken

	Tables     []*catalog.Table
	Sequences  []*catalog.Sequence
	Matviews   []*catalog.Matview
	Unreadable []string // tables and sequences the role may not read

	endpoint *conninfo.Endpoint
	lockWait time.Duration
	leader   *pgx.Conn
	id       string

	role, user string // the session's, and who has logged in
}

// who names the role whose privileges the session has, and why it is not the one that has logged in.
func (s *Snapshot) who() string {
	if s.role == s.user {
		return "role " + s.role
	}
	return fmt.Sprintf("role %s (put in the place of %s by ALTER DATABASE or ALTER ROLE ... SET role)", s.role, s.user)
}

// asAnother is the advice to connect as a role that may, which is of no use where a setting replaces whoever logs in.
func (s *Snapshot) asAnother(advice string) string {
	switch {
	case s.role == s.user:
		return advice
	case s.endpoint.Via != "": // the environment says nothing of servers in containers
		return "ALTER DATABASE or ALTER ROLE ... RESET role to stay role " + s.user
	}
	return "set PGOPTIONS='-c role=none' to stay role " + s.user
}

// errMoved says that a table was truncated or rewritten between the snapshot
// and the lock on it, so that the snapshot would see it empty.
var errMoved = errors.New("a table was truncated or rewritten while the snapshot was taken")

// Open takes a snapshot of the database at endpoint.
func Open(ctx context.Context, endpoint *conninfo.Endpoint) (*Snapshot, error) {
	return openWithin(ctx, endpoint, defaultLockWait)
}

// openWithin takes a snapshot, and gives up if a table stays locked for longer than lockWait.
func openWithin(ctx context.Context, endpoint *conninfo.Endpoint, lockWait time.Duration) (*Snapshot, error) {
	const attempts = 3
	var failures []error
	for _, host := range endpoint.Hosts() {
		var s *Snapshot
		err := errMoved
		for attempt := 0; attempt < attempts && errors.Is(err, errMoved); attempt++ {
			s, err = open(ctx, host, lockWait)
		}
		if err == nil {
			return s, nil
		}
		failures = append(failures, fmt.Errorf("source %s: %w", endpoint.Name, err))
	}
	return nil, errors.Join(failures...)
}

func open(ctx context.Context, endpoint *conninfo.Endpoint, lockWait time.Duration) (_ *Snapshot, err error) {
	leader, err := session.Open(ctx, endpoint.Config, session.Options{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer func() {
		if err != nil {
			session.HangUp(ctx, leader)
		}
	}()
	s := &Snapshot{Version: session.Version(leader), endpoint: endpoint, lockWait: lockWait, leader: leader}
	if _, err := leader.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if err := leader.QueryRow(ctx, `
SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_encoding_to_char(encoding), current_user::text, session_user::text,
  (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END)::text
FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()`).Scan(&s.id, &s.Encoding, &s.role, &s.user, &s.LSN); err != nil {
		return nil, fmt.Errorf("export the snapshot: %w", err)
	}
	// From here on names come as the database has them, and as pg_dump will.
	if _, err := leader.PgConn().Exec(ctx, fmt.Sprintf("SET client_encoding = %s; SET lock_timeout = %d",
		catalog.Literal(s.Encoding), lockWait.Milliseconds())).ReadAll(); err != nil {
		return nil, fmt.Errorf("set up session: %w", err)
	}
	if err := s.lockTables(ctx); err != nil {
		return nil, err
	}
	return s, s.readCatalog(ctx)
}

// lockTables takes ACCESS SHARE on every table whose rows will be read, as
// pg_dump does: a TRUNCATE or a rewrite would otherwise empty the table for
// the snapshot too, without an error.
func (s *Snapshot) lockTables(ctx context.Context) error {
	rows, err := s.leader.Query(ctx, `
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.oid, c.relfilenode
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
ORDER BY c.oid`)
	if err != nil {
		return fmt.Errorf("read the tables: %w", err)
	}
	type relation struct {
		name      string
		oid, file uint32
	}
	relations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
		return r, row.Scan(&r.name, &r.oid, &r.file)
	})
	if err != nil {
		return fmt.Errorf("read the tables: %w", err)
	}
	const batch = 200
	for rest := relations; len(rest) > 0; {
		n := min(batch, len(rest))
		names, oids, files := "", []uint32{}, []uint32{}
		for i, r := range rest[:n] {
			if i > 0 {
				names += ", "
			}
			names += r.name
			oids, files = append(oids, r.oid), append(files, r.file)
		}
		if _, err := s.leader.Exec(ctx, "LOCK TABLE "+names+" IN ACCESS SHARE MODE", pgx.QueryExecModeSimpleProtocol); err != nil {
			return s.lockError(err)
		}
		// pg_relation_filenode sees the present, the catalog rows the snapshot.
		var moved bool
		if err := s.leader.QueryRow(ctx, `
SELECT EXISTS (SELECT 1 FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::oid[])) AS r(oid, file)
  WHERE r.file <> 0 AND pg_catalog.pg_relation_filenode(r.oid) IS DISTINCT FROM r.file)`, oids, files).Scan(&moved); err != nil {
			return fmt.Errorf("check the tables' files: %w", err)
		}
		if moved {
			return errMoved
		}
		rest = rest[n:]
	}
	return nil
}

func (s *Snapshot) lockError(err error) error {
	if session.HasCode(err, "55P03") {
		return fmt.Errorf("lock the tables: another session holds or waits for an exclusive lock on one of them "+
			"for more than %s; see pg_locks, and try again when it is done", s.lockWait)
	}
	return fmt.Errorf("lock the tables: %w", err)
}

// AsText makes all rows leave in text format: what Dump answers has no binary ones.
func (s *Snapshot) AsText() {
	for _, t := range s.Tables {
		t.Binary = false
	}
}

func (s *Snapshot) readCatalog(ctx context.Context) (err error) {
	if s.Tables, err = catalog.Tables(ctx, s.leader); err != nil {
		return err
	}
	if s.endpoint.Wire != nil {
		s.AsText() // the wire takes rows apart at their line breaks
	}
	var hidden []string
	if s.Sequences, hidden, err = catalog.Sequences(ctx, s.leader); err != nil {
		return err
	}
	s.Unreadable = hidden
	s.Matviews, err = catalog.Matviews(ctx, s.leader)
	return err
}

// Leader is the session that holds the snapshot, for catalog queries in the
// same instant. It must not be used by two goroutines at once, nor leave its
// transaction.
func (s *Snapshot) Leader() *pgx.Conn { return s.leader }

// Confirm fails if the session that holds the snapshot was lost. With it went
// the locks on the tables: one truncated since then may have been read as empty.
func (s *Snapshot) Confirm(ctx context.Context) error {
	if _, err := s.leader.Exec(ctx, "SELECT", pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("source %s: the session that holds the snapshot was lost, and with it the locks on the tables: %w", s.endpoint.Name, err)
	}
	return nil
}

// Close ends the snapshot, whether ctx has ended or not. A server that no longer answers is not waited for.
func (s *Snapshot) Close(ctx context.Context) { session.HangUp(ctx, s.leader) }

// Stream opens a further session in the same snapshot.
func (s *Snapshot) Stream(ctx context.Context) (*pgx.Conn, error) {
	conn, err := session.Open(ctx, s.endpoint.Config, session.Options{ReadOnly: true, Encoding: s.Encoding})
	if err != nil {
		return nil, fmt.Errorf("source %s: connect: %w", s.endpoint.Name, err)
	}
	_, err = conn.PgConn().Exec(ctx, s.join()).ReadAll()
	if err != nil {
		session.HangUp(ctx, conn)
		// Its file is gone, or for a moment still there; before 16, the identifier is called invalid.
		if session.HasCode(err, "22023", "42704", "55000") {
			err = fmt.Errorf("the session that held it was ended: %w", err)
		}
		return nil, fmt.Errorf("source %s: join the snapshot: %w", s.endpoint.Name, err)
	}
	return conn, nil
}

// join is the statements that join the snapshot.
func (s *Snapshot) join() string {
	return fmt.Sprintf("SET lock_timeout = %d; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '%s'",
		s.lockWait.Milliseconds(), s.id)
}

// copy is a COPY of the snapshot in a session of its own.
func (s *Snapshot) copy(sql string) copywire.Copy {
	return copywire.Copy{
		Database: s.endpoint.Database(),
		Setup:    session.Settings(s.Version, session.Options{ReadOnly: true, Encoding: s.Encoding}),
		Begin:    s.join(), SQL: sql,
	}
}

// CheckAll finds what would keep the database from being read whole.
func (s *Snapshot) CheckAll() preflight.Findings {
	return s.check(s.Tables, func(string) bool { return true })
}

// checkLargeObjects finds those that pg_dump would fail to read, late and one
// at a time.
func (s *Snapshot) checkLargeObjects(ctx context.Context, f *preflight.Findings) error {
	var count, first int64
	if err := s.leader.QueryRow(ctx, `
SELECT count(*), COALESCE(min(m.oid::bigint), 0)
FROM pg_catalog.pg_largeobject_metadata m
WHERE NOT pg_catalog.current_setting('lo_compat_privileges')::boolean
  AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE')
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.aclexplode(m.lomacl) a
    WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))`).Scan(&count, &first); err != nil {
		return fmt.Errorf("check the large objects: %w", err)
	}
	role := s.role
	switch {
	case count == 1:
		f.Problem(fmt.Sprintf("large object %d", first), s.who()+" may not read it",
			fmt.Sprintf("GRANT SELECT ON LARGE OBJECT %d TO %s, or %s", first, catalog.Quote(role), s.asAnother("connect as its owner or a superuser")))
	case count > 1:
		f.Problem("large objects", fmt.Sprintf("%s may not read %d of them, such as %d", s.who(), count, first),
			s.asAnother("connect as their owner or a superuser")+", or GRANT SELECT ON LARGE OBJECT on each")
	}
	return nil
}

func (s *Snapshot) check(tables []*catalog.Table, wantsSequence func(name string) bool) preflight.Findings {
	var f preflight.Findings
	role := s.role
	for _, t := range tables {
		switch {
		case !t.Readable:
			f.Problem("table "+t.QualifiedName(), s.who()+" may not read it",
				fmt.Sprintf("GRANT SELECT ON %s TO %s, %s, or leave it out with --exclude-table",
					catalog.QuoteQualified(t.Schema, t.Name), catalog.Quote(role), s.asAnother("connect as the owner or a superuser")))
		case t.RowSecurity:
			f.Problem("table "+t.QualifiedName(), "row security would hide rows of it from "+s.who(),
				s.asAnother("connect as a superuser or a role with BYPASSRLS"))
		}
	}
	for _, name := range s.Unreadable {
		if wantsSequence(name) {
			f.Problem("sequence "+name, s.who()+" may not read it",
				"GRANT SELECT on it, "+s.asAnother("connect as its owner or a superuser")+", or leave it out with --exclude-table")
		}
	}
	return f
}
