//go:build bench

package bench_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestSlowWire migrates the banker database to a container on a machine that is reached by ssh over 50 Mbit/s with a round trip of
// 20 ms: with rows compressed, without, and as it is done by hand.
func TestSlowWire(t *testing.T) {
	f := setUp(t)
	pgtest.SSHHost(t, func(address string) string {
		return line{rate: 50e6 / 8, delay: 10 * time.Millisecond, to: address}.open(t)
	})
	db := pgtest.Banker(t, f.src, number(t, "PGBERTH_BENCH_SCALE", 300))
	target := pgtest.Container(t, f.src.Major, pgtest.NoNetwork(), pgtest.Volume())
	target.Exec(t, "postgres", "CREATE ROLE banker_owner; CREATE ROLE banker_read; CREATE ROLE banker_app")
	t.Cleanup(func() { target.DropDB(t, db) })
	fmt.Printf("slow wire: banker, %s, 50 Mbit/s, 20 ms\n", size(t, f.src, db))
	migrate := func(compress string) func(t *testing.T) effort {
		return func(t *testing.T) effort {
			target.DropDB(t, db)
			return run(t, f.ours("migrate", "--docker-host", "ssh://"+pgtest.SSHName, "--from", f.src.URL(db),
				"--to", "docker://"+target.Container+"/"+db, "--wire-compress", compress))
		}
	}
	byHand := func(t *testing.T) effort {
		target.DropDB(t, db)
		target.Exec(t, "postgres", "CREATE DATABASE "+db+" TEMPLATE template0")
		return run(t, exec.Command(filepath.Join(pgtest.BinDir(t), "pg_dump"), "-Fc", "-d", f.src.URL(db)),
			exec.Command("ssh", pgtest.SSHName, "docker", "exec", "-i", target.Container, "pg_restore", "-U", target.User, "-d", db))
	}
	pair(t, "compressed, against off (goal 0.35)", migrate("off"), migrate("auto"))
	pair(t, "compressed, against pg_dump | ssh | pg_restore (goal 0.6)", byHand, migrate("auto"))
}
