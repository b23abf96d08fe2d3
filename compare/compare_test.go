package compare_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgberth/pgberth/compare"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// endpoint returns a database as a user names it.
func endpoint(t testing.TB, url string) *conninfo.Endpoint {
	t.Helper()
	e, err := conninfo.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func run(t testing.TB, from, to string, opts compare.Options) *compare.Report {
	t.Helper()
	opts.From, opts.To = endpoint(t, from), endpoint(t, to)
	report, err := compare.Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// where lists what differs, without the values.
func where(report *compare.Report) []string {
	list := []string{}
	for _, d := range report.Differences {
		list = append(list, d.Kind+" "+d.Object+": "+d.Aspect)
	}
	return list
}

// club returns a new database that has one of everything.
func club(t testing.TB, s *pgtest.Server) string {
	t.Helper()
	for _, role := range []string{"club_owner", "club_member", "club_other"} {
		s.Exec(t, "postgres", `DO $$ BEGIN CREATE ROLE `+role+`; EXCEPTION WHEN duplicate_object THEN END $$`)
	}
	db := s.CreateDB(t, "TEMPLATE template0 OWNER club_owner")
	s.Psql(t, db, "testdata/club.sql")
	s.Exec(t, db, `ALTER DATABASE `+db+` SET work_mem = '8MB';
		ALTER ROLE club_member IN DATABASE `+db+` SET search_path = club, public;
		COMMENT ON DATABASE `+db+` IS 'the club';
		GRANT CREATE ON DATABASE `+db+` TO club_member`)
	return db
}

// stockCopy moves a database, its settings and the roles to another server by
// pg_dump and pg_restore.
func stockCopy(t testing.TB, from *pgtest.Server, db string, to *pgtest.Server) {
	t.Helper()
	client := func(s *pgtest.Server, major int, stdin, program string, args ...string) string {
		cmd := s.Client(t, major, "postgres", program, args...)
		var stdout, stderr strings.Builder
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, stderr.String())
		}
		return stdout.String()
	}
	roles := client(from, dumper(from.Major, to.Major), "", "pg_dumpall", "--roles-only", "--no-role-passwords")
	client(to, to.Major, roles, "psql", "-X", "-q") // those that exist stay as they are
	archive := client(from, dumper(from.Major, to.Major), "", "pg_dump", "--format=custom", "--create", db)
	t.Cleanup(func() { to.DropDB(t, db) })
	client(to, to.Major, archive, "pg_restore", "--exit-on-error", "--create", "--dbname=postgres")
}

// dumper returns the version of pg_dump to use. That of the source's own knows
// its last fixes; only from 15 on does one carry what was done to schema public.
func dumper(from, to int) int {
	if from < 15 {
		return to
	}
	return from
}

// TestStockCopies holds that what the stock tools copy is the same, also on a
// newer server. They do not carry the versions of extensions, nor, below 15, a
// comment on schema public, nor, below 18, that a subscription does not stream.
// Servers of one version are part of the matrix.
func TestStockCopies(t *testing.T) {
	samples := map[string]func(testing.TB, *pgtest.Server) string{
		"club":      club,
		"banker":    func(t testing.TB, s *pgtest.Server) string { return pgtest.Banker(t, s, 1) },
		"menagerie": pgtest.Menagerie,
		"pagila":    pgtest.Pagila,
	}
	majors := pgtest.Majors(t)
	for i, from := range majors {
		for _, to := range majors[i:] {
			if from == to && os.Getenv("PGBERTH_TEST_MATRIX") == "" {
				continue
			}
			for name, sample := range samples {
				t.Run(fmt.Sprintf("%s/%d-%d", name, from, to), func(t *testing.T) {
					source, target := pgtest.SharedContainer(t, from), pgtest.SharedContainer(t, to)
					if from == to && pgtest.Host(t).Major == from {
						source = pgtest.Host(t)
					} else if from == to {
						target = pgtest.Container(t, to)
					}
					db := sample(t, source)
					stockCopy(t, source, db, target)
					report := run(t, source.URL(db), target.URL(db), compare.Options{})
					for _, d := range report.Differences {
						version := d.Kind == "extension" && d.Aspect == "version"
						public := d.Kind == "schema" && d.Object == "public" && dumper(from, to) < 15
						streaming := d.Kind == "subscription" && d.Aspect == "streaming" && dumper(from, to) < 18 && to >= 18
						if !version && !public && !streaming {
							t.Error(d)
						}
					}
					if report.Tables == 0 || report.Rows == 0 || report.Bytes == 0 || report.Objects["table"] == 0 {
						t.Errorf("little was compared: %+v", report)
					}
				})
			}
		}
	}
}

// reporter is a function that hears of progress.
type reporter func(progress.Event)

func (r reporter) Report(e progress.Event) { r(e) }

// at calls a function when a phase starts.
func at(phase string, do func()) reporter {
	return func(e progress.Event) {
		if start, ok := e.(progress.PhaseStart); ok && start.Phase == phase {
			do()
		}
	}
}

func TestOneSnapshot(t *testing.T) {
	host := pgtest.Host(t)
	from, to := host.CreateDB(t, "TEMPLATE template0"), host.CreateDB(t, "TEMPLATE template0")
	for _, db := range []string{from, to} {
		host.Exec(t, db, "CREATE TABLE t (id int); INSERT INTO t VALUES (1); SELECT lo_from_bytea(1, 'x')")
	}
	for _, phase := range []string{compare.PhaseCatalog, compare.PhaseRows} {
		late := at(phase, func() {
			host.Exec(t, from, "INSERT INTO t VALUES (2); SELECT lo_put(1, 0, 'late')")
			host.Exec(t, to, "DELETE FROM t; SELECT lo_put(1, 0, 'other')")
		})
		report := run(t, host.URL(from), host.URL(to), compare.Options{Reporter: late})
		if !report.Same {
			t.Errorf("changes after the start of phase %s are seen: %q", phase, report.Differences)
		}
		for _, db := range []string{from, to} {
			host.Exec(t, db, "TRUNCATE t; INSERT INTO t VALUES (1); SELECT lo_truncate(lo_open(1, 131072), 0); SELECT lo_put(1, 0, 'x')")
		}
	}
}

func TestCancel(t *testing.T) {
	host := pgtest.Host(t)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	db := host.CreateDB(t, "TEMPLATE template0")
	host.Exec(t, db, "CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) i")
	for _, phase := range []string{compare.PhaseCatalog, compare.PhaseRows} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := compare.Run(ctx, compare.Options{
			From: endpoint(t, host.URL(db)), To: endpoint(t, host.URL(db)), Reporter: at(phase, cancel),
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in phase %s: error %v", phase, err)
		}
		cancel()
	}
}

// TestUnreadable holds that a role that sees less gets an error that names it,
// never a smaller comparison.
func TestUnreadable(t *testing.T) {
	host := pgtest.Host(t)
	db := club(t, host)
	user, password := pgtest.NewName("reader"), "reader's"
	host.Exec(t, db, "CREATE ROLE "+user+" LOGIN PASSWORD 'reader''s'")
	t.Cleanup(func() {
		host.Exec(t, db, "DROP OWNED BY "+user)
		host.Exec(t, db, "DROP ROLE "+user)
	})
	url := host.URLAs(user, password, db)
	failure := func() error {
		_, err := compare.Run(t.Context(), compare.Options{From: endpoint(t, host.URL(db)), To: endpoint(t, url)})
		return err
	}
	steps := []struct{ want, grant string }{
		{"sequence club.games_id_seq", "GRANT USAGE ON SCHEMA club TO ROLE_"},
		{"table club.event", "GRANT SELECT ON ALL TABLES IN SCHEMA club TO ROLE_; GRANT SELECT ON ALL SEQUENCES IN SCHEMA club TO ROLE_"},
		{"subscription feed", "GRANT SELECT ON pg_subscription TO ROLE_"},
		{"user mapping club_member on server casino", "DROP USER MAPPING FOR club_member SERVER casino"},
		{"players", "ALTER ROLE ROLE_ BYPASSRLS"},
		{"large object 400", "GRANT SELECT ON LARGE OBJECT 4001, 4002 TO ROLE_"},
	}
	for _, step := range steps {
		err := failure()
		if err == nil || !strings.Contains(err.Error(), step.want) {
			t.Errorf("error %v does not name %s", err, step.want)
		}
		if err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("error %v holds the password", err)
		}
		host.Exec(t, db, strings.ReplaceAll(step.grant, "ROLE_", user))
	}
	if err := failure(); err != nil {
		t.Errorf("all may be read: %v", err)
	}
}

// TestEncodings holds that text is compared as text, whatever the databases
// encode it in, and that their bytewise orders of names do no harm.
func TestEncodings(t *testing.T) {
	host := pgtest.Host(t)
	create := func(encoding, text string) string {
		db := host.CreateDB(t, "TEMPLATE template0 ENCODING '"+encoding+"' LOCALE 'C'")
		conn := host.Connect(t, db)
		if encoding != "SQL_ASCII" { // there the bytes stay those of UTF-8
			if _, err := conn.Exec(t.Context(), "SET client_encoding = 'UTF8'"); err != nil {
				t.Fatal(err)
			}
		}
		for word := range strings.FieldsSeq(text) {
			if _, err := conn.Exec(t.Context(), fmt.Sprintf(`CREATE TABLE "%[1]s" AS SELECT text '%[1]s' AS "%[1]s"`, word)); err != nil {
				t.Fatal(err)
			}
		}
		return db
	}
	for encoding, text := range map[string]string{
		"LATIN1":    "Zoë zz crème é ÿ z",
		"EUC_JP":    "日本 東京 あ 亜 ー ｱ Ａ z ё я",
		"SQL_ASCII": "Zoë 日本 z 東京",
	} {
		a, b := create(encoding, text), create("UTF8", text)
		for _, db := range [][2]string{{a, b}, {b, a}} {
			want := []string{"database " + db[0] + ": encoding"}
			report := run(t, host.URL(db[0]), host.URL(db[1]), compare.Options{})
			if diff := cmp.Diff(want, where(report)); diff != "" {
				t.Errorf("%s and UTF8: (-want +got)\n%s", encoding, diff)
			}
			if words := len(strings.Fields(text)); report.Tables != words {
				t.Errorf("%s: rows of %d tables were compared, not %d", encoding, report.Tables, words)
			}
		}
	}
}

func TestSchemaOnly(t *testing.T) {
	host := pgtest.Host(t)
	from, to := host.CreateDB(t, "TEMPLATE template0"), host.CreateDB(t, "TEMPLATE template0")
	host.Exec(t, from, "CREATE TABLE t (id serial); INSERT INTO t DEFAULT VALUES")
	host.Exec(t, to, "CREATE TABLE t (id serial)")
	if report := run(t, host.URL(from), host.URL(to), compare.Options{SchemaOnly: true}); !report.Same {
		t.Errorf("differences without data: %q", report.Differences)
	}
	want := []string{"sequence public.t_id_seq: is called", "table public.t: row count"}
	if diff := cmp.Diff(want, where(run(t, host.URL(from), host.URL(to), compare.Options{}))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestExtensionConfiguration holds that of an extension's tables the rows
// that are the user's are compared, and no others.
func TestExtensionConfiguration(t *testing.T) {
	server := pgtest.SharedContainer(t, pgtest.Majors(t)[0])
	from, to := server.CreateDB(t, "TEMPLATE template0"), server.CreateDB(t, "TEMPLATE template0")
	for _, db := range []string{from, to} {
		server.Exec(t, db, "CREATE EXTENSION pgberth_test; INSERT INTO pgberth_setting (name) VALUES ('a'); INSERT INTO pgberth_unit VALUES ('yd', 0.9144)")
	}
	steps := []struct {
		change string
		want   []string
	}{
		{"UPDATE pgberth_unit SET factor = 1001 WHERE builtin AND code = 'km'; UPDATE pgberth_version SET version = '0'", []string{}},
		{"UPDATE pgberth_unit SET factor = 0.9 WHERE code = 'yd'", []string{"table public.pgberth_unit: rows"}},
		{"INSERT INTO pgberth_setting (name) VALUES ('b')", []string{
			"sequence public.pgberth_setting_id_seq: last value", "table public.pgberth_setting: row count", "table public.pgberth_unit: rows"}},
	}
	for _, step := range steps {
		server.Exec(t, to, step.change)
		if diff := cmp.Diff(step.want, where(run(t, server.URL(from), server.URL(to), compare.Options{}))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", step.change, diff)
		}
	}
}

// The name of a database may look like the end of a query, or like a comment in it.
func TestOddName(t *testing.T) {
	s := pgtest.Host(t)
	plain, odd := s.CreateDB(t), pgtest.NewName("a")+";\n--b\n'\\c"
	id := pgx.Identifier{odd}.Sanitize()
	s.Exec(t, "postgres", "CREATE DATABASE "+id)
	t.Cleanup(func() { s.DropDB(t, odd) })
	for db, name := range map[string]string{plain: plain, odd: id} {
		s.Exec(t, db, "CREATE TABLE games AS SELECT 1 AS id; COMMENT ON DATABASE "+name+" IS 'of games'")
	}
	s.Exec(t, odd, "COMMENT ON TABLE games IS 'all'")
	for _, dbs := range [][2]string{{plain, odd}, {odd, plain}} {
		report := run(t, s.URL(dbs[0]), s.URL(dbs[1]), compare.Options{})
		if want := []string{"table public.games: comment"}; !slices.Equal(where(report), want) {
			t.Errorf("%q: %v, want %v", dbs, where(report), want)
		}
	}
}
