package migrate_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/compare"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestMatrix migrates the samples from every version to the same and to every
// newer one, with the clients in the images.
func TestMatrix(t *testing.T) {
	if os.Getenv("PGBERTH_TEST_MATRIX") == "" {
		t.Skip("PGBERTH_TEST_MATRIX is not set")
	}
	samples := map[string]func(testing.TB, *pgtest.Server) string{
		"banker":    func(t testing.TB, s *pgtest.Server) string { return pgtest.Banker(t, s, 1) },
		"menagerie": pgtest.Menagerie,
	}
	for _, from := range pgtest.Majors(t) {
		for name, create := range samples {
			t.Run(fmt.Sprintf("%s-from-%d", name, from), func(t *testing.T) {
				src := pgtest.SharedContainer(t, from)
				db := create(t, src)
				for _, to := range pgtest.Majors(t) {
					if to < from {
						continue // see TestOlderTarget
					}
					t.Run(fmt.Sprintf("to-%d", to), func(t *testing.T) {
						matrixPair(t, src, db, to)
					})
				}
			})
		}
	}
}

func matrixPair(t *testing.T, src *pgtest.Server, db string, to int) {
	dst := pgtest.SharedContainer(t, to)
	if dst == src {
		dst = pgtest.Container(t, to)
	}
	t.Cleanup(func() { dst.DropDB(t, db) })
	p := command(t, "migrate", "--from", src.Endpoint(db), "--to", dst.Endpoint(db), "--jobs", "2", "--verify", "data")
	p.must()
	for _, e := range p.events {
		if e.Event == "warning" {
			t.Logf("warning: %s: %s", e.Object, e.Text)
		}
	}
	stock := src.Copy(t, db, dst)
	pgtest.NewOracle(t, src, db, dst, stock).Check(t, dst, db)
	// What is different in a stock copy, too, is so for the version's sake.
	known := map[compare.Difference]bool{}
	for _, d := range differences(t, src.URL(db), dst.URL(stock)) {
		known[d] = true
	}
	for _, d := range differences(t, src.URL(db), dst.URL(db)) {
		if !known[d] {
			t.Errorf("compare: %s %s: %s: %.200s at the source, %.200s at the target", d.Kind, d.Object, d.Aspect, d.From, d.To)
		}
	}
}

func differences(t testing.TB, from, to string) []compare.Difference {
	t.Helper()
	report, err := compare.Run(t.Context(), compare.Options{From: endpoint(t, from), To: endpoint(t, to)})
	if err != nil {
		t.Fatal(err)
	}
	return report.Differences
}

// TestOlderTarget takes a schema that both versions know back to an older server.
func TestOlderTarget(t *testing.T) {
	t.Parallel()
	pairs := [][2]int{{17, 15}}
	if os.Getenv("PGBERTH_TEST_MATRIX") != "" {
		pairs = [][2]int{{18, 17}, {18, 13}, {17, 13}, {15, 13}}
		src, dst := pgtest.SharedContainer(t, 15), pgtest.SharedContainer(t, 13)
		db := src.CreateDB(t, "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de'")
		refused(t, command(t, "migrate", "--from", src.Endpoint(db), "--to", dst.Endpoint(db)), 1,
			"locale provider icu: is not known to PostgreSQL 13 for a database", "version 15 or later")
	}
	for _, pair := range pairs {
		t.Run(fmt.Sprintf("%d-to-%d", pair[0], pair[1]), func(t *testing.T) {
			src, dst := pgtest.SharedContainer(t, pair[0]), pgtest.Host(t)
			if dst.Major != pair[1] {
				dst = pgtest.SharedContainer(t, pair[1])
			}
			db := src.CreateDB(t, "TEMPLATE template0 LOCALE 'C.UTF-8'")
			dropLater(t, dst, db)
			src.Exec(t, db, `
				CREATE TABLE a (id bigserial PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now(), tags text[], doc jsonb);
				CREATE TABLE b (a bigint REFERENCES a ON DELETE CASCADE, n numeric CHECK (n > 0)) PARTITION BY HASH (a);
				CREATE TABLE b0 PARTITION OF b FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE b1 PARTITION OF b FOR VALUES WITH (MODULUS 2, REMAINDER 1);
				INSERT INTO a (name, tags, doc) SELECT n::text, ARRAY['x', NULL], '{"a": 1}' FROM generate_series(1, 1000) n; INSERT INTO b SELECT n, n FROM generate_series(1, 1000) n;
				CREATE INDEX ON a USING gin (doc); CREATE VIEW v AS SELECT a.id FROM a WHERE name > '5';
				CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END'; SELECT lo_from_bytea(5, 'x')`)
			p := command(t, "migrate", "--from", src.Endpoint(db), "--to", dst.Endpoint(db), "--verify", "data")
			p.must()
			if want := fmt.Sprintf("is PostgreSQL %d, older than the source's %d", pair[1], pair[0]); !strings.Contains(p.said(), want) {
				t.Errorf("no warning says %q:\n%s", want, p.said())
			}
			for _, d := range differences(t, src.URL(db), dst.URL(db)) {
				if d.Kind == "schema" && d.Object == "public" && dst.Major < 15 {
					continue // another default, which an archive does not name
				}
				t.Errorf("compare: %s %s: %s: %.200s at the source, %.200s at the target", d.Kind, d.Object, d.Aspect, d.From, d.To)
			}
		})
	}
}
