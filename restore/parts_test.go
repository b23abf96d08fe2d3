package restore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

// into restores into a database that exists.
func into(t testing.TB, s *pgtest.Server, path, db string, selection archive.Selection) error {
	t.Helper()
	opts := options(t, s, db)
	opts.InPlace, opts.Selection = true, selection
	_, err := restore.FromArchive(t.Context(), open(t, path), opts)
	return err
}

// The sections one after the other make what a whole restore makes.
func TestSections(t *testing.T) {
	s := pgtest.SharedContainer(t, 17)
	db := pgtest.Menagerie(t, s)
	path := stockDump(t, s, db, "-Fc")
	copied := s.CreateDB(t, "TEMPLATE template0")
	for _, section := range []archive.Section{archive.SectionPreData, archive.SectionData, archive.SectionPostData} {
		if err := into(t, s, path, copied, archive.Selection{Sections: []archive.Section{section}}); err != nil {
			t.Fatalf("section %d: %v", section, err)
		}
	}
	pgtest.NewOracle(t, s, db, s, s.Copy(t, db, s)).CheckContent(t, s, copied)
}

func club(t testing.TB, s *pgtest.Server) string {
	t.Helper()
	db := s.CreateDB(t, "TEMPLATE template0")
	s.Exec(t, db, `
CREATE SCHEMA app; CREATE SCHEMA other;
CREATE TABLE app.games (id int PRIMARY KEY, name text); INSERT INTO app.games SELECT i, 'game ' || i FROM generate_series(1, 5) i;
CREATE TABLE app.hands (id int PRIMARY KEY, game int REFERENCES app.games); INSERT INTO app.hands SELECT i, 1 FROM generate_series(1, 7) i;
CREATE INDEX ON app.hands (game);
CREATE VIEW app.busy AS SELECT game, count(*) FROM app.hands GROUP BY 1;
CREATE TABLE other.log (line text); INSERT INTO other.log VALUES ('a');
CREATE TABLE public.games (id int); INSERT INTO games VALUES (1);
SELECT lo_from_bytea(4711, 'content');`)
	return db
}

const relations = `SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY c.oid::regclass::text) FROM pg_class c
WHERE relnamespace::regnamespace::text IN ('app', 'other', 'public')`

func TestFilters(t *testing.T) {
	s := pgtest.Host(t)
	db := club(t, s)
	path := ours(t, s, db)
	for name, test := range map[string]struct {
		before    string // SQL
		selection archive.Selection
		want      string
		rows      string
	}{
		"schema":       {"", archive.Selection{Schemas: []string{"other"}}, "other.log", ""},
		"not schema":   {"", archive.Selection{ExcludeSchemas: []string{"app", "public"}}, "other.log", ""},
		"table":        {"CREATE SCHEMA app", archive.Selection{Tables: []string{"app.games"}}, "app.games app.games_pkey", "5"},
		"table alone":  {"CREATE SCHEMA app", archive.Selection{Tables: []string{"games"}}, "app.games app.games_pkey games", "5"},
		"not a table":  {"", archive.Selection{ExcludeTables: []string{"hands", "busy"}, ExcludeSchemas: []string{"other"}}, "app.games app.games_pkey games", "5"},
		"not its rows": {"", archive.Selection{ExcludeTableData: []string{"app.games", "app.hands"}, Schemas: []string{"app"}}, "app.busy app.games app.games_pkey app.hands app.hands_game_idx app.hands_pkey", "0"},
		"beside others": {"CREATE SCHEMA app; CREATE TABLE app.mine (id int)", archive.Selection{Tables: []string{"app.games"}},
			"app.games app.games_pkey app.mine", "5"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			target := s.CreateDB(t, "TEMPLATE template0")
			if test.before != "" {
				s.Exec(t, target, test.before)
			}
			if err := into(t, s, path, target, test.selection); err != nil {
				t.Fatal(err)
			}
			if got := s.Row(t, target, relations); got != test.want {
				t.Errorf("relations %s, want %s", got, test.want)
			}
			if test.rows != "" {
				if got := s.Row(t, target, "SELECT count(*) FROM app.games"); got != test.rows {
					t.Errorf("%s rows, want %s", got, test.rows)
				}
			}
		})
	}
	if err := into(t, s, path, s.CreateDB(t), archive.Selection{Tables: []string{"gmaes"}}); err == nil || !strings.Contains(err.Error(), `"gmaes"`) {
		t.Errorf("a table that is not there: %v", err)
	}
}

// A part that cannot be restored leaves alone what was there before.
func TestPartFails(t *testing.T) {
	s := pgtest.Host(t)
	path := ours(t, s, club(t, s))
	target := s.CreateDB(t, "TEMPLATE template0")
	s.Exec(t, target, `CREATE SCHEMA app; CREATE TABLE app.games (id int PRIMARY KEY, name text);
INSERT INTO app.games VALUES (3, 'mine'); SELECT lo_from_bytea(4711, 'mine')`)
	state := `SELECT (SELECT name FROM app.games), (SELECT count(*) FROM pg_class WHERE relname IN ('log', 'hands')),
(SELECT convert_from(lo_get(4711), 'UTF8')), (SELECT count(*) FROM pg_namespace WHERE nspname = 'other')`
	want := s.Row(t, target, state)
	for name, selection := range map[string]archive.Selection{
		"the table is there": {Tables: []string{"app.games", "app.hands"}},
		"the row is there":   {Sections: []archive.Section{archive.SectionData}, Tables: []string{"app.games"}},
		"nothing to index":   {Sections: []archive.Section{archive.SectionPostData}},
	} {
		if err := into(t, s, path, target, selection); err == nil {
			t.Errorf("%s: done", name)
		}
		if got := s.Row(t, target, state); got != want {
			t.Fatalf("%s: %s left, %s before", name, got, want)
		}
	}
	// A tolerant run goes on, and then fails; what it was refused is not its own to drop.
	opts := options(t, s, target)
	opts.InPlace, opts.AllowDowngrade, opts.VerifyData = true, true, true
	opts.Selection = archive.Selection{Schemas: []string{"app"}}
	_, err := restore.FromArchive(t.Context(), open(t, path), opts)
	var partial *restore.PartialError
	if !errors.As(err, &partial) {
		t.Fatalf("tolerant: %v", err)
	}
	if got := s.Row(t, target, `SELECT (SELECT name FROM app.games), (SELECT count(*) FROM app.hands)`); got != "mine|7" {
		t.Errorf("tolerant: %s", got)
	}
	var findings *preflight.Error
	if err := into(t, s, path, target, archive.Selection{}); !errors.As(err, &findings) || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("all of it into a database that is not empty: %v", err)
	}
}

// A large object that was there is not the run's own to remove.
func TestLargeObjectIsThere(t *testing.T) {
	s := pgtest.SharedContainer(t, 17)
	db, target := s.CreateDB(t), s.CreateDB(t)
	s.Exec(t, db, "SELECT lo_from_bytea(4711, 'content'), lo_from_bytea(4712, 'content')")
	s.Exec(t, target, "SELECT lo_from_bytea(4712, 'mine')")
	err := into(t, s, stockDump(t, s, db, "-Fc"), target, archive.Selection{Sections: []archive.Section{archive.SectionData}})
	if err == nil || !strings.Contains(err.Error(), "4712") {
		t.Errorf("%v", err)
	}
	if got := s.Row(t, target, "SELECT string_agg(oid::text, ' '), convert_from(lo_get(4712), 'UTF8') FROM pg_largeobject_metadata"); got != "4712|mine" {
		t.Errorf("left: %s", got)
	}
}

// warnings keeps what a run warns of.
type warnings struct{ texts []string }

func (w *warnings) Report(e progress.Event) {
	if e, ok := e.(progress.Warning); ok {
		w.texts = append(w.texts, e.Object+": "+e.Text)
	}
}

func (w *warnings) has(words string) bool {
	return strings.Contains(strings.Join(w.texts, "\n"), words)
}

// The archive of a newer server is refused, unless the user allows it; then what fails is reported.
func TestDowngrade(t *testing.T) {
	newer, older := pgtest.SharedContainer(t, 17), pgtest.Host(t)
	db := newer.CreateDB(t, "TEMPLATE template0 LOCALE 'C.UTF-8'")
	newer.Exec(t, db, `
CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT i, 'n' FROM generate_series(1, 100) i;
CREATE TABLE modern (id int, j jsonb) WITH (fillfactor = 90); INSERT INTO modern VALUES (1, '{}');
CREATE VIEW modern_only AS SELECT * FROM JSON_TABLE('[1]'::jsonb, '$[*]' COLUMNS (a int PATH '$'));
CREATE TABLE odd (a int, b int GENERATED ALWAYS AS (a) STORED); INSERT INTO odd VALUES (1);
CREATE MATERIALIZED VIEW cached AS SELECT any_value(note) FROM t;
GRANT MAINTAIN ON t TO PUBLIC`)
	path := stockDump(t, newer, db, "-Fc")
	name := newName(t, older)
	opts := options(t, older, name)
	var findings *preflight.Error
	if _, err := restore.FromArchive(t.Context(), open(t, path), opts); !errors.As(err, &findings) || !strings.Contains(err.Error(), "PostgreSQL 17") {
		t.Fatalf("not refused: %v", err)
	}
	if got := older.Rows(t, "postgres", "SELECT 1 FROM pg_database WHERE datname ~ '"+name+"'"); len(got) > 0 {
		t.Error("the refused run made a database")
	}
	w := &warnings{}
	opts.AllowDowngrade, opts.Reporter = true, w
	result, err := restore.FromArchive(t.Context(), open(t, path), opts)
	var partial *restore.PartialError
	if !errors.As(err, &partial) || result == nil {
		t.Fatalf("%v, %v", result, err)
	}
	for _, object := range []string{"VIEW public.modern_only", "MATERIALIZED VIEW public.cached", "ACL public.TABLE t"} {
		if !w.has(object + ": not restored: ") {
			t.Errorf("no word of %s in:\n%s", object, strings.Join(w.texts, "\n"))
		}
	}
	if got := older.Row(t, name, `SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM modern), (SELECT b FROM odd), to_regclass('modern_only') IS NULL,
(SELECT count(*) FROM pg_constraint WHERE conname = 't_pkey')`); got != "100|1|1|t|1" {
		t.Errorf("restored: %s", got)
	}
}

// A newer server's memberships are made as an older one knows them.
func TestDowngradeRoles(t *testing.T) {
	newer, older := pgtest.SharedContainer(t, 17), pgtest.Host(t)
	group, member := pgtest.NewName("group"), pgtest.NewName("member")
	newer.Exec(t, "postgres", "CREATE ROLE "+group+"; CREATE ROLE "+member+" LOGIN; GRANT "+group+" TO "+member+" WITH ADMIN TRUE, INHERIT TRUE")
	db := newer.CreateDB(t, "TEMPLATE template0 LOCALE 'C.UTF-8' OWNER "+member)
	t.Cleanup(func() {
		newer.DropDB(t, db)
		newer.Exec(t, "postgres", "DROP ROLE "+member+", "+group)
	})
	newer.Exec(t, db, "CREATE TABLE t (id int); ALTER TABLE t OWNER TO "+member)
	path := t.TempDir() + "/archive"
	output(t, pgtest.Pgberth(t, "dump", "--from", newer.Endpoint(db), "--file", path))
	opts := options(t, older, newName(t, older))
	t.Cleanup(func() { older.Exec(t, "postgres", "DROP ROLE IF EXISTS "+member+", "+group) })
	opts.AllowDowngrade = true
	if _, err := restore.FromArchive(t.Context(), open(t, path), opts); err != nil {
		t.Fatal(err)
	}
	if got := older.Row(t, "postgres", `SELECT admin_option FROM pg_auth_members
WHERE roleid = '`+group+`'::regrole AND member = '`+member+`'::regrole`); got != "t" {
		t.Errorf("membership: %s", got)
	}
	older.DropDB(t, opts.To.Database())
}
