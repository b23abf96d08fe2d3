//go:build bench

package bench_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// effort are what a run of a tool took.
type effort struct {
	wall   time.Duration
	cpu    time.Duration // of the tool's own processes
	memory int64         // largest resident set of one of them, in bytes
	stored int64         // bytes of the archive
}

// run measures commands that are piped into each other.
func run(t *testing.T, commands ...*exec.Cmd) effort {
	t.Helper()
	var f effort
	stderr := make([]bytes.Buffer, len(commands))
	for i, cmd := range commands {
		cmd.Stderr = &stderr[i]
		if i > 0 {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			commands[i-1].Stdout, cmd.Stdin = w, r
		}
	}
	start := time.Now()
	for i, cmd := range commands {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			commands[i-1].Stdout.(*os.File).Close()
			cmd.Stdin.(*os.File).Close()
		}
	}
	for i, cmd := range commands {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, &stderr[i])
		}
		f.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		f.memory = max(f.memory, maxRSS(cmd.ProcessState))
	}
	f.wall = time.Since(start)
	return f
}

// pair runs two tools in turn and prints their medians and the ratio. Its name is "ours, against theirs".
func pair(t *testing.T, name string, theirs, ours func(t *testing.T) effort) {
	rounds := number(t, "PGBERTH_BENCH_ROUNDS", 3)
	var a, b []effort
	var ratios []float64
	for range rounds {
		s, o := theirs(t), ours(t)
		a, b = append(a, s), append(b, o)
		ratios = append(ratios, float64(o.wall)/float64(s.wall))
	}
	slices.Sort(ratios)
	wall := func(e effort) time.Duration { return e.wall }
	x, y := median(a, wall), median(b, wall)
	fmt.Printf("%-44s time ratio %.2f (%.2f to %.2f): %s to %s", name,
		ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], y.wall.Round(10*time.Millisecond), x.wall.Round(10*time.Millisecond))
	if x.stored > 0 {
		fmt.Printf("   size ratio %.3f (%d MB)", float64(y.stored)/float64(x.stored), y.stored/1e6)
	}
	fmt.Printf("   CPU of the tools %s to %s   memory %d to %d MB\n", y.cpu.Round(10*time.Millisecond),
		x.cpu.Round(10*time.Millisecond), y.memory/1e6, x.memory/1e6)
}

// rig is the servers, the databases and the tools of a run.
type rig struct {
	src, dst *pgtest.Server
	binary   string
	bin      string // folder of the stock tools
	jobs     string
	dir      string
}

func setUp(t *testing.T) *rig {
	f := &rig{dir: t.TempDir(), jobs: strconv.Itoa(number(t, "PGBERTH_BENCH_JOBS", 2))}
	f.binary = filepath.Join(f.dir, "pgberth")
	if out, err := exec.Command("go", "build", "-o", f.binary, "../cmd/pgberth").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	f.src = pgtest.NewHost(t, "shared_buffers=512MB", "max_wal_size=4GB")
	f.dst = pgtest.Container(t, 17, pgtest.Volume(), pgtest.Settings("shared_buffers=512MB", "max_wal_size=4GB"))
	f.bin = stockTools(t, f.dir)
	return f
}

// stockTools copies the client programs of PostgreSQL 17, with the libraries
// they need, out of the image, so that they run as pgberth does.
func stockTools(t *testing.T, dir string) string {
	t.Helper()
	bin := filepath.Join(dir, "stock")
	script := `set -eu; mkdir -p /out/lib; cd /usr/lib/postgresql/17/bin; cp pg_dump pg_restore /out/
for p in pg_dump pg_restore; do ldd $p | awk '/=> \//{print $3} /^\t\/.*ld-linux/{print $1}'; done | sort -u | xargs -I{} cp -L {} /out/lib/
for p in pg_dump pg_restore; do printf '#!/bin/sh\nexec %s/lib/ld-linux-x86-64.so.2 --library-path %s/lib %s/%s.bin "$@"\n' "$1" "$1" "$1" $p > /out/$p.sh; mv /out/$p /out/$p.bin; mv /out/$p.sh /out/$p; chmod 755 /out/$p; done`
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("docker", "run", "--rm", "--user", "0", "--entrypoint", "bash", "-v", bin+":/out", pgtest.Image(17),
		"-c", script, "stock", bin).CombinedOutput()
	if err != nil {
		t.Fatalf("copy the stock tools: %v\n%s", err, out)
	}
	return bin
}

func (f *rig) stock(tool string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(f.bin, tool), args...)
}

func (f *rig) ours(args ...string) *exec.Cmd {
	return exec.Command(f.binary, append(args, "--quiet", "--jobs="+f.jobs)...)
}

// freshTarget drops and creates db on the target.
func (f *rig) freshTarget(t *testing.T, db string, create bool) {
	f.dst.DropDB(t, db)
	f.dst.Exec(t, "postgres", "CHECKPOINT")
	if create {
		f.dst.Exec(t, "postgres", "CREATE DATABASE "+db+" TEMPLATE template0")
	}
}

func (f *rig) dumpAndRestore(t *testing.T, db string) {
	stockDir, ourDir := filepath.Join(f.dir, "stock.dump"), filepath.Join(f.dir, "our.dump")
	ours := func(args ...string) func(t *testing.T) effort {
		return func(t *testing.T) effort {
			os.RemoveAll(ourDir)
			effort := run(t, f.ours(append([]string{"dump", "--from", f.src.URL(db), "--file", ourDir, "--pg-restore=17",
				"--pg-dump", filepath.Join(f.bin, "pg_dump")}, args...)...))
			effort.stored = folderSize(t, ourDir)
			return effort
		}
	}
	for _, codec := range []string{"zstd:1", "gzip"} {
		pair(t, "dump, against pg_dump -Fd -j"+f.jobs+" -Z "+codec,
			func(t *testing.T) effort {
				os.RemoveAll(stockDir)
				effort := run(t, f.stock("pg_dump", "-Fd", "-j"+f.jobs, "-Z", codec, "-f", stockDir, "-d", f.src.URL(db)))
				effort.stored = folderSize(t, stockDir)
				return effort
			},
			ours("--compress="+strings.TrimSuffix(codec, ":1")))
		if codec == "zstd:1" {
			f.restore(t, db, stockDir, ourDir)
		}
	}
}

func (f *rig) restore(t *testing.T, db, stockDir, ourDir string) {
	t.Cleanup(func() { f.dst.DropDB(t, db) })
	pair(t, "restore, against pg_restore -j"+f.jobs,
		func(t *testing.T) effort {
			f.freshTarget(t, db, true)
			return run(t, f.stock("pg_restore", "-j"+f.jobs, "-d", f.dst.URL(db), stockDir))
		},
		func(t *testing.T) effort {
			f.freshTarget(t, db, false)
			return run(t, f.ours("restore", ourDir, "--to", f.dst.URL(db)))
		})
}

func folderSize(t *testing.T, dir string) (sum int64) {
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	return sum
}

// TestArchives measures archives; migrations are TestBench's.
func TestArchives(t *testing.T) {
	f := setUp(t)
	scale := number(t, "PGBERTH_BENCH_SCALE", 300)
	banker := pgtest.Banker(t, f.src, scale)
	// The roles must be there for pg_restore too.
	f.dst.Exec(t, "postgres", "CREATE ROLE banker_owner; CREATE ROLE banker_read; CREATE ROLE banker_app")
	fmt.Printf("mixed: banker at scale %d, %s\n", scale, size(t, f.src, banker))
	f.dumpAndRestore(t, banker)
	one := oneTable(t, f.src, max(1, scale/20))
	fmt.Printf("one table: %s\n", size(t, f.src, one))
	f.dumpAndRestore(t, one)
}
