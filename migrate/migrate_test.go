package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/migrate"
	"github.com/pgberth/pgberth/progress"
)

func endpoint(t testing.TB, url string) *conninfo.Endpoint {
	t.Helper()
	e, err := conninfo.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// options migrate db from src to dst under the same name, with the host's clients.
func options(t testing.TB, src, dst *pgtest.Server, db string) migrate.Options {
	t.Helper()
	clients, err := pgtools.FindHost(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return migrate.Options{
		From: endpoint(t, src.URL(db)), To: endpoint(t, dst.URL(db)), Clients: clients, Reporter: &log{t: t},
	}
}

// imageClient is the pg_dump of an image, as a side container of the target's
// image gives it.
type imageClient struct {
	t     testing.TB
	src   *pgtest.Server
	db    string
	major int
}

func (c imageClient) Version() int   { return c.major * 10000 }
func (c imageClient) String() string { return fmt.Sprintf("pg_dump %d in an image", c.major) }

func (c imageClient) Dump(ctx context.Context, req pgtools.Request) error {
	cmd := c.src.Client(c.t, c.major, c.db, "pg_dump", req.Args...)
	var stderr pgtools.Tail
	cmd.Stdout, cmd.Stderr = req.Stdout, &stderr
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) })()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, &stderr)
	}
	return nil
}

// log shows warnings.
type log struct{ t testing.TB }

func (l *log) Report(e progress.Event) {
	switch e := e.(type) {
	case progress.Warning:
		l.t.Logf("warning: %s: %s; %s", e.Object, e.Text, e.Remedy)
	case progress.Notice:
		l.t.Logf("notice: %s", e.Text)
	}
}

// run migrates and drops what it made when the test ends.
func run(t testing.TB, dst *pgtest.Server, opts migrate.Options) *migrate.Result {
	t.Helper()
	t.Cleanup(func() { dst.DropDB(t, opts.To.Database()) })
	result, err := migrate.Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// assertSame compares what one pg_dump writes of both sides. Servers of
// different versions print the same view in different words: then the target
// must be as stock pg_dump and pg_restore make it.
func assertSame(t testing.TB, src, dst *pgtest.Server, db string) {
	t.Helper()
	major := max(src.Major, dst.Major)
	want, got := pgtest.Script(src.DumpWith(t, major, db, "--create")), pgtest.Script(dst.DumpWith(t, major, db, "--create"))
	if diff := cmp.Diff(databasePart(want), databasePart(got)); diff != "" {
		t.Errorf("the database itself differs (-source +target):\n%s", diff)
	}
	if slices.Equal(want, got) {
		return
	}
	if src.Major != dst.Major {
		stock := src.Copy(t, db, dst)
		want, got = pgtest.Script(dst.DumpWith(t, major, stock)), pgtest.Script(dst.DumpWith(t, major, db))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pg_dump %d finds differences (-want +target):\n%.8000s", major, diff)
	}
}

// databasePart is what a script has before and about its \connect lines.
func databasePart(script []string) []string {
	last := 0
	for i, line := range script {
		if strings.HasPrefix(line, `\connect`) {
			last = i
		}
	}
	return script[:last]
}

func TestMigrateSamples(t *testing.T) {
	samples := map[string]func(testing.TB, *pgtest.Server) string{
		"pagila":    pgtest.Pagila,
		"banker":    func(t testing.TB, s *pgtest.Server) string { return pgtest.Banker(t, s, 1) },
		"menagerie": pgtest.Menagerie,
	}
	for name, create := range samples {
		t.Run(name, func(t *testing.T) {
			src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
			db := create(t, src)
			opts := options(t, src, dst, db)
			opts.Clients = append(opts.Clients, imageClient{t, src, db, dst.Major})
			opts.Verify, opts.Jobs = migrate.VerifyData, 3
			result := run(t, dst, opts)
			assertSame(t, src, dst, db)
			for _, table := range result.Tables {
				if table.Rows < 0 {
					t.Errorf("table %s: %d rows", table.Name, table.Rows)
				}
			}
			assertNoStaging(t, dst)
		})
	}
}

func assertNoStaging(t testing.TB, s *pgtest.Server) {
	t.Helper()
	if left := s.Rows(t, "postgres", `SELECT datname FROM pg_database WHERE datname ~ '_pgberth_'`); len(left) > 0 {
		t.Errorf("staging databases left behind: %v", left)
	}
}

func TestOneSnapshot(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := src.CreateDB(t)
	src.Exec(t, db, `CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO a SELECT generate_series(1, 1000); INSERT INTO b SELECT 1`)
	opts := options(t, src, dst, db)
	// As soon as the rows begin to move, more come in, and rows are deleted.
	opts.Reporter = onEvent(func(e progress.Event) {
		if start, ok := e.(progress.PhaseStart); ok && start.Phase == progress.Staging {
			src.Exec(t, db, `INSERT INTO a SELECT 5; DELETE FROM b; CREATE TABLE c (id int)`)
		}
	})
	run(t, dst, opts)
	if got := dst.Row(t, db, `SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), to_regclass('c') IS NULL`); got != "1000|1|t" {
		t.Errorf("target holds %s, want what the snapshot saw: 1000|1|t", got)
	}
}

type onEvent func(progress.Event)

func (f onEvent) Report(e progress.Event) { f(e) }

func TestReplaceKeepsTheOldDatabase(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := src.CreateDB(t)
	src.Exec(t, db, `CREATE TABLE new (id int)`)
	dst.Exec(t, "postgres", "CREATE DATABASE "+db)
	t.Cleanup(func() { dst.DropDB(t, db) })
	dst.Exec(t, db, `CREATE TABLE old (id int); INSERT INTO old VALUES (42)`)

	opts := options(t, src, dst, db)
	var problems *migrate.PreflightError
	if _, err := migrate.Run(t.Context(), opts); !errors.As(err, &problems) || !strings.Contains(err.Error(), "--replace") {
		t.Fatalf("a target that is not empty: %v", err)
	}
	if got := dst.Row(t, db, `SELECT id FROM old`); got != "42" {
		t.Fatalf("the refused run changed the target: %s", got)
	}

	session := dst.Connect(t, db)
	opts.Replace = true
	if _, err := migrate.Run(t.Context(), opts); !errors.As(err, &problems) || !strings.Contains(err.Error(), "pgtest") {
		t.Fatalf("a target in use: %v", err)
	}
	if err := session.Ping(t.Context()); err != nil {
		t.Fatalf("the refused run ended a session: %v", err)
	}

	opts.Disconnect = true
	result := run(t, dst, opts)
	if err := session.Ping(t.Context()); err == nil {
		t.Error("the session on the old database lives on")
	}
	if !strings.HasPrefix(result.OldDatabase, db+"_before_") {
		t.Fatalf("old database: %q", result.OldDatabase)
	}
	t.Cleanup(func() { dst.DropDB(t, result.OldDatabase) })
	if got := dst.Row(t, result.OldDatabase, `SELECT id FROM old`); got != "42" {
		t.Errorf("the old database holds %s", got)
	}
	if got := dst.Row(t, db, `SELECT count(*) FROM new`); got != "0" {
		t.Errorf("the new database: %s", got)
	}

	opts.DropOld = true
	if result := run(t, dst, opts); !result.OldDropped {
		t.Errorf("not dropped: %+v", result)
	}
	if got := dst.Row(t, "postgres", fmt.Sprintf(`SELECT count(*) FROM pg_database WHERE datname LIKE '%s%%'`, db)); got != "2" {
		t.Errorf("%s databases, want the new one and the one kept before", got)
	}
}

func TestInPlace(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := pgtest.Banker(t, src, 1)
	src.CopyRoles(t, db, dst) // a policy names one
	dst.Exec(t, "postgres", `CREATE ROLE inplace LOGIN PASSWORD 'x'`)
	t.Cleanup(func() { dst.Exec(t, "postgres", `DROP ROLE inplace`) })
	dst.Exec(t, "postgres", "CREATE DATABASE "+db+" TEMPLATE template0 OWNER inplace")
	t.Cleanup(func() { dst.DropDB(t, db) })
	opts := options(t, src, dst, db)
	opts.To = endpoint(t, dst.URLAs("inplace", "x", db))
	opts.InPlace, opts.NoOwner, opts.NoPrivileges, opts.NoRoles = true, true, true, true
	if _, err := migrate.Run(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	want := src.Row(t, db, `SELECT count(*), sum(amount) FROM buy_ins`)
	if got := dst.Row(t, db, `SELECT count(*), sum(amount) FROM buy_ins`); got != want {
		t.Errorf("buy-ins: %s, want %s", got, want)
	}
	var problems *migrate.PreflightError
	if _, err := migrate.Run(t.Context(), opts); !errors.As(err, &problems) || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("again, into a database that is not empty: %v", err)
	}
}

// A run in place that fails leaves the database empty, as it was.
func TestInPlaceFailureLeavesNothing(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := pgtest.Banker(t, src, 1)
	dst.Exec(t, "postgres", "CREATE DATABASE "+db+" TEMPLATE template0")
	t.Cleanup(func() { dst.DropDB(t, db) })
	opts := options(t, src, dst, db)
	opts.InPlace = true
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	opts.Reporter = onEvent(func(e progress.Event) {
		if _, ok := e.(progress.UnitEnd); ok {
			cancel(enough)
		}
	})
	if _, err := migrate.Run(ctx, opts); !errors.Is(err, enough) {
		t.Fatalf("cancelled: %v", err)
	}
	if got := dst.Row(t, db, `SELECT (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public'),
		(SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_extension)`); got != "0|0|1" {
		t.Errorf("left behind: %s", got)
	}
	opts.Reporter = nil
	run(t, dst, opts)
}
