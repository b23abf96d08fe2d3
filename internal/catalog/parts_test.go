package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// rowsSQL makes thin pages, more than 2,048 of them, and then holes, empty pages, rows that have moved, NULLs and keys below zero.
const rowsSQL = `
CREATE TABLE cut (id int, note text) WITH (fillfactor = 10);
INSERT INTO cut SELECT CASE WHEN n % 7 = 0 THEN NULL ELSE 20000 - n END, 'row ' || n FROM generate_series(1, 40000) n;
DELETE FROM cut WHERE note LIKE '%5' OR note BETWEEN 'row 12000' AND 'row 14000';
UPDATE cut SET note = note || ', moved' WHERE note LIKE '%3';
CREATE TABLE empty (id int, note text);
CREATE TABLE page AS SELECT 1 AS id, 'row' AS note`

// The parts of a table are the table: every row that the snapshot sees is in one of them, and in no other, also if the table was larger
// than it was found to be, or smaller, and while it grows.
func TestCopyParts(t *testing.T) {
	each(t, func(t *testing.T, s *pgtest.Server) {
		db := s.CreateDB(t, "TEMPLATE template0")
		s.Exec(t, db, rowsSQL)
		conn := s.Connect(t, db)
		if _, err := conn.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ"); err != nil {
			t.Fatal(err)
		}
		tables, err := catalog.Tables(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		s.Exec(t, db, `INSERT INTO cut SELECT n, 'late ' || n FROM generate_series(1, 5000) n; INSERT INTO empty VALUES (1, 'late')`)
		for _, table := range tables {
			table.Binary = false
			want := copied(t, conn, table.CopyOut())
			pages := table.Pages
			if s.Major < 14 && pages != 0 {
				t.Errorf("%s: %d pages to cut on a server that cannot scan a range of them", table.Name, pages)
			}
			for _, found := range []int64{pages, pages / 2, pages + 4096} {
				for _, n := range []int{1, 2, 3, 7} {
					table.Pages = found
					parts := table.CopyParts(n)
					if s.Major >= 14 && table.Name == "cut" && n == 2 && len(parts) != 2 && found >= 2048 {
						t.Errorf("%d parts of %d pages", len(parts), found)
					}
					var got []string
					for _, part := range parts {
						got = append(got, copied(t, conn, part)...)
					}
					slices.Sort(got)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("%s of %d pages in %d parts (-want +got):\n%.2000s", table.Name, found, n, diff)
					}
				}
			}
		}
	})
}

// copied are the rows that a COPY sends, sorted.
func copied(t *testing.T, conn *pgx.Conn, sql string) []string {
	t.Helper()
	var text strings.Builder
	if _, err := conn.PgConn().CopyTo(t.Context(), &text, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	lines := slices.Collect(strings.Lines(text.String()))
	slices.Sort(lines)
	return lines
}
