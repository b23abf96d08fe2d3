package migrate_test

import (
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestDiskFull fills the target's disk. Over a plain connection the program
// cannot know beforehand how small it is. The write-ahead log has a disk of its
// own here: where that runs full, PostgreSQL ends by itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	src := pgtest.Host(t)
	dst := pgtest.Container(t, 17, pgtest.Tmpfs("72m"), pgtest.Env("POSTGRES_INITDB_ARGS", "--waldir=/wal/data"),
		pgtest.DockerArgs("--tmpfs", "/wal"))
	l := newLedger(t, src, dst)
	l.relic(t)
	src.Exec(t, l.db, `CREATE TABLE big (n int, text text); ALTER TABLE big ALTER text SET STORAGE EXTERNAL;
		INSERT INTO big SELECT n, repeat(md5(n::text), 3000) FROM generate_series(1, 600) n`)
	p := command(t, l.args(src.URL(l.db), dst.URL(l.db), "--replace")...)
	refused(t, p, 1, "copy table public.big", "No space left on device", "Check free disk space")
	l.assertQuiet(t, p)
	if left := l.databases(t); len(left) != 1 || l.hasRole(t) {
		t.Errorf("left behind: %v", left)
	}
	l.assertRelic(t, l.db)

	// In a container it sees that coming.
	p = command(t, l.args(src.URL(l.db), dst.Endpoint(l.db), "--replace")...)
	refused(t, p, 1, "target: has ", " of disk free; the tables take ", "with their indexes", "--exclude-table-data")
	command(t, l.args(src.URL(l.db), dst.Endpoint(l.db), "--replace", "--exclude-table-data", "big", "--dry-run")...).must()
	src.Exec(t, l.db, "TRUNCATE big")
	command(t, l.args(src.URL(l.db), dst.Endpoint(l.db), "--replace")...).must()
	l.assertArrived(t)
}
