//go:build bench

package bench_test

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestSlowWire migrates the banker database to a container on a machine that is reached by ssh over 50 Mbit/s with a round trip of
// 20 ms: with rows compressed, without, and as it is done by hand.
func TestSlowWire(t *testing.T) {
	f := setUp(t)
	var carried atomic.Int64
	const rate = 50e6 / 8
	pgtest.SSHHost(t, func(address string) string {
		return line{rate: rate, delay: 10 * time.Millisecond, to: address, carried: &carried}.open(t)
	})
	// measured says also what a run has sent over the line, and what both machines and the line have used of this one's
	// processors: how long each takes at least.
	measured := func(t *testing.T, name string, commands ...*exec.Cmd) effort {
		carried.Store(0)
		before := machineCPU(t)
		e := run(t, commands...)
		bytes, cpu := float64(carried.Load()), machineCPU(t)-before
		fmt.Printf("%-10s %5.1f s, %5.1f MB over the line, %4.1f s at least, %4.1f s of CPU, %4.1f s at least\n", name, e.wall.Seconds(),
			bytes/1e6, bytes/rate, cpu.Seconds(), cpu.Seconds()/float64(numCPU()))
		return e
	}
	db := pgtest.Banker(t, f.src, number(t, "PGBERTH_BENCH_SCALE", 300))
	target := pgtest.Container(t, f.src.Major, pgtest.NoNetwork(), pgtest.Volume())
	target.Exec(t, "postgres", "CREATE ROLE banker_owner; CREATE ROLE banker_read; CREATE ROLE banker_app")
	t.Cleanup(func() { target.DropDB(t, db) })
	fmt.Printf("slow wire: banker, %s, 50 Mbit/s, 20 ms\n", size(t, f.src, db))
	migrate := func(compress string) func(t *testing.T) effort {
		return func(t *testing.T) effort {
			target.DropDB(t, db)
			return measured(t, compress, exec.Command(f.binary, "migrate", "--quiet", "--docker-host", "ssh://"+pgtest.SSHName, "--from", f.src.URL(db),
				"--to", "docker://"+target.Container+"/"+db, "--wire-compress", compress))
		}
	}
	byHand := func(t *testing.T) effort {
		target.DropDB(t, db)
		target.Exec(t, "postgres", "CREATE DATABASE "+db+" TEMPLATE template0")
		return measured(t, "by hand", exec.Command(filepath.Join(pgtest.BinDir(t), "pg_dump"), "-Fc", "-d", f.src.URL(db)),
			exec.Command("ssh", pgtest.SSHName, "docker", "exec", "-i", target.Container, "pg_restore", "-U", target.User, "-d", db))
	}
	pair(t, "compressed, against off (goal 0.35)", migrate("off"), migrate("auto"))
	pair(t, "compressed, against pg_dump | ssh | pg_restore (goal 0.6)", byHand, migrate("auto"))
}

// TestFastWire holds four streams of rows through docker exec against four bare execs of head: what the engine itself
// lets through. The rows are few and wide, so that the server has next to nothing to do with them.
func TestFastWire(t *testing.T) {
	const streams, size = 4, 512 << 20
	pg := pgtest.Container(t, 17, pgtest.NoNetwork())
	pg.Exec(t, "postgres", "ALTER SYSTEM SET max_wal_size = '8GB'")
	engine, err := containerpg.Open(t.Context(), containerpg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	engine.Via = containerpg.ViaExec
	server, err := engine.Resolve(t.Context(), containerpg.Selector{Name: pg.Container})
	if err != nil {
		t.Fatal(err)
	}
	atOnce := func(do func() error) time.Duration {
		var g errgroup.Group
		start := time.Now()
		for range streams {
			g.Go(do)
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	script := fmt.Sprintf("head -c %d /dev/zero", size)
	bare := func() error {
		cmd := exec.Command("docker", "exec", pg.Container, "sh", "-c", script)
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{out}, make([]byte, 256<<10))
		if err == nil && n != size {
			err = fmt.Errorf("%d bytes of %d", n, size)
		}
		return errors.Join(err, cmd.Wait())
	}
	rows := func() error {
		conn, err := pgx.ConnectConfig(t.Context(), server.ConnConfig(""))
		if err != nil {
			return err
		}
		defer conn.Close(t.Context())
		tally, err := copywire.Out(t.Context(), conn.PgConn(),
			fmt.Sprintf("COPY (SELECT repeat('x', 1 << 20) FROM generate_series(1, %d)) TO STDOUT", size>>20), nil, nil)
		if err == nil && tally.Bytes < size {
			err = fmt.Errorf("%d bytes of %d", tally.Bytes, size)
		}
		return err
	}
	var ratios []float64
	for range number(t, "PGBERTH_BENCH_ROUNDS", 3) {
		theirs, ours := atOnce(bare), atOnce(rows)
		ratios = append(ratios, theirs.Seconds()/ours.Seconds())
		fmt.Printf("exec, %d streams of %d MB: head %.0f MB/s, COPY through the tunnel %.0f MB/s\n", streams, size>>20,
			streams*size/1e6/theirs.Seconds(), streams*size/1e6/ours.Seconds())
	}
	slices.Sort(ratios)
	fmt.Printf("throughput ratio %.2f (goal 0.9)\n", ratios[len(ratios)/2])
}
