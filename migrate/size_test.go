package migrate_test

import (
	"fmt"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestHugeRows moves rows of up to 200 MB through little memory.
func TestHugeRows(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := src.CreateDB(t, "TEMPLATE template0")
	dropLater(t, dst, db)
	large, small := 80, 5 // MB; the small go the same way as the large
	if pgtest.Soak() {
		large, small = 200, 200
	}
	src.Exec(t, db, fmt.Sprintf(`CREATE TABLE texts (id int, text text); ALTER TABLE texts ALTER text SET STORAGE EXTERNAL;
		INSERT INTO texts VALUES (1, repeat('wide ', %[1]d << 18)), (2, 'short');
		CREATE TYPE pair AS (a int, b bytea); CREATE TABLE pairs (id int, pair pair);
		INSERT INTO pairs VALUES (1, ROW(1, decode(repeat('ab', %[2]d << 20), 'hex'))), (2, NULL);
		SELECT lo_from_bytea(200, decode(repeat('cd', %[2]d << 20), 'hex'))`, large*4/5, small))
	p := command(t, "migrate", "--from", src.URL(db), "--to", dst.URL(db), "--jobs", "2")
	p.start(nil)
	peak := pgtest.WatchMemory(t, p.cmd.Process.Pid)
	if status := p.wait(); status != 0 {
		t.Fatalf("exit status %d\n%s", status, p.said())
	}
	const limit = 120 << 20
	if used := peak(); used == 0 || used > limit {
		t.Errorf("the program took %d bytes of memory, want at most %d", used, limit)
	} else {
		t.Logf("memory: %d bytes", used)
	}
	for _, query := range []string{
		`SELECT string_agg(md5(text), ',' ORDER BY id) FROM texts`, `SELECT md5((pair).b) FROM pairs WHERE id = 1`, `SELECT md5(lo_get(200))`,
	} {
		if want, got := src.Row(t, db, query), dst.Row(t, db, query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
