package drill_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// A good backup passes, whatever is in it and however it was written.
func TestGoodBackups(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	few := `SET client_encoding = 'UTF8'; CREATE TABLE "déjà vu" (id serial); CREATE TABLE t (id serial PRIMARY KEY, name text CHECK (name <> 'x')); INSERT INTO t (name) VALUES (E'caf\u00e9'), (NULL); COMMENT ON TABLE t IS E'd\u00e9j\u00e0 vu'`
	with := func(sql string, options ...string) func(testing.TB) string {
		return func(t testing.TB) string {
			db := host.CreateDB(t, options...)
			host.Exec(t, db, sql)
			return db
		}
	}
	stock := func(format string) func(testing.TB, string) string {
		return func(t testing.TB, db string) string {
			path := filepath.Join(t.TempDir(), "stock")
			cmd := host.Client(t, host.Major, db, "pg_dump", "--format="+format, "--file="+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("pg_dump: %v\n%s", err, out)
			}
			return path
		}
	}
	for _, test := range []struct {
		name   string
		make   func(testing.TB) string
		dump   func(testing.TB, string) string // nil is ours
		always bool
	}{
		{"one of everything", func(t testing.TB) string { return pgtest.Menagerie(t, host) }, nil, true},
		{"another encoding", with(few+`; SELECT setval('"déjà vu_id_seq"', 7)`, "TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"), nil, false},
		{"the database postgres", func(testing.TB) string { return "postgres" }, nil, false},
		{"stock custom", with(few, "TEMPLATE template0"), stock("custom"), true},
		{"stock directory", with(few, "TEMPLATE template0"), stock("directory"), false},
		{"stock tar", with(few, "TEMPLATE template0"), stock("tar"), false},
		{"nothing in it", with("", "TEMPLATE template0"), nil, false},
		{"no encoding", with(`CREATE TABLE t (id serial, v text); INSERT INTO t (v) VALUES (E'\xe9')`, "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"), nil, false},
		{"a locale of ICU", with(few, "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C.UTF-8'"), nil, false},
		{"hash partitions", with(`CREATE TYPE e AS ENUM ('a', 'b', 'c'); CREATE TABLE h (v e, n int) PARTITION BY HASH (v);
CREATE TABLE h0 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE h1 PARTITION OF h FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO h SELECT (ARRAY['a', 'b', 'c'])[1 + i % 3]::e, i FROM generate_series(1, 99) i`, "TEMPLATE template0"), nil, false},
		{"many tables", with(`DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i); END LOOP; END $$`, "TEMPLATE template0"), nil, false},
	} {
		if !test.always && !pgtest.Soak() {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := test.make(t)
			write := test.dump
			if write == nil {
				write = func(t testing.TB, db string) string { return dumped(t, host, db) }
			}
			r := run(t, options(write(t, db)))
			if r.Verdict != drill.Passed || test.dump == nil && r.Count(drill.Skipped) > 2 {
				t.Errorf("%s: %s\n%s%+v", r.Verdict, r.Reason, failures(r), r.Checks)
			}
			for _, c := range r.Checks {
				if c.Status == drill.Warned && !strings.Contains(strings.Join(c.Problems, " "), "ltree") && c.Name != "sequences" {
					t.Errorf("%s: %v", c.Name, c.Problems)
				}
			}
		})
	}
}
