package dump_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/atomicfile"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
)

// event is a line of --json.
type event struct {
	Event, Phase, Object, Message string
	Code                          int
}

// follow runs the program with --json, calls onEvent with every event as it arrives, and returns the
// exit status, -1 for one that a signal ended.
func follow(t testing.TB, cmd *exec.Cmd, onEvent func(event)) (status int, last event) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args = append(cmd.Args, "--json")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil { // a killed run may leave half a line
			last = e
			onEvent(e)
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), last
}

func ignore(event) {}

// left lists a directory.
func left(t testing.TB, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Name())
	}
	return names
}

// assertWhole verifies an archive.
func assertWhole(t testing.TB, path string) {
	t.Helper()
	a, err := archive.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.Kind() == archive.KindDirectory && a.Manifest() == nil {
		t.Error("the archive has no manifest")
	}
	if _, err := archive.Verify(t.Context(), a); err != nil {
		t.Error(err)
	}
}

// A moment is an event of a run, and how long after it.
type moment struct {
	name  string
	is    func(e event, n int) bool // n counts the events
	after time.Duration
}

func at(name, phase string) func(event, int) bool {
	return func(e event, _ int) bool { return e.Event == name && e.Phase == phase }
}

// moments are those that every test of killing takes.
var moments = []moment{
	{name: "first event", is: func(_ event, n int) bool { return n == 1 }},
	{name: "rows begin", is: at("phase_start", progress.Rows)},
	{name: "first table", is: at("unit_start", progress.Rows)},
	{name: "first table done", is: at("unit_end", progress.Rows)},
	{name: "fifteenth event", is: func(_ event, n int) bool { return n == 15 }},
	{name: "rows done", is: at("phase_end", progress.Rows)},
}

// chosen adds random moments where there is time: an event, and up to the length of a run after it.
func chosen(t testing.TB) []moment {
	if !pgtest.Soak() {
		return moments
	}
	const seed = 41
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	list := moments
	for i := range 100 {
		nth := 1 + random.IntN(60)
		list = append(list, moment{
			name:  fmt.Sprintf("random %d", i),
			is:    func(_ event, n int) bool { return n == nth },
			after: time.Duration(random.IntN(60)) * time.Millisecond,
		})
	}
	return list
}

// Whenever a run is killed, what has the final name is whole, and another run puts things right.
func TestKill(t *testing.T) {
	s := pgtest.Host(t)
	db := pgtest.Banker(t, s, 1)
	for i, m := range chosen(t) {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "backup")
			args := []string{"dump", "--from", s.URL(db), "--file", path}
			if i%2 == 1 {
				args = append(args, "--format=custom")
			}
			cmd := pgtest.Pgberth(t, args...)
			n := 0
			status, _ := follow(t, cmd, func(e event) {
				n++
				if !m.is(e, n) {
					return
				}
				time.AfterFunc(m.after, func() { _ = cmd.Process.Kill() }) // it may have ended
			})
			if _, err := os.Stat(path); err == nil {
				assertWhole(t, path)
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
			} else if status == 0 {
				t.Error("a run that was done left nothing")
			}
			if status, last := follow(t, pgtest.Pgberth(t, args...), ignore); status != 0 {
				t.Fatalf("the next run: status %d, %+v", status, last)
			}
			assertWhole(t, path)
			if names := left(t, dir); len(names) != 1 {
				t.Errorf("left: %v", names)
			}
		})
	}
}

// An interrupted run ends with 130 and leaves neither a file nor a session.
func TestInterrupt(t *testing.T) {
	s := pgtest.Host(t)
	db := pgtest.Banker(t, s, 2)
	for _, m := range moments[:4] {
		for _, format := range []string{"directory", "custom"} {
			t.Run(strings.ReplaceAll(m.name, " ", "-")+"-"+format, func(t *testing.T) {
				dir := t.TempDir()
				cmd := pgtest.Pgberth(t, "dump", "--from", s.URL(db), "--file", filepath.Join(dir, "backup"), "--format", format)
				n, sent := 0, false
				status, last := follow(t, cmd, func(e event) {
					if n++; m.is(e, n) && !sent { // a second one would end it at once
						sent = true
						_ = cmd.Process.Signal(os.Interrupt) // it may have ended
					}
				})
				names := left(t, dir)
				switch {
				case status == 0 && len(names) == 1: // it was done sooner
					assertWhole(t, filepath.Join(dir, names[0]))
				case status != 130 || last.Message != "interrupted" || len(names) > 0:
					t.Errorf("status %d, %+v, left %v", status, last, names)
				}
				assertNoSessions(t, s, db)
			})
		}
	}
}

// assertNoSessions waits until nobody is connected to a database.
func assertNoSessions(t testing.TB, s *pgtest.Server, db string) {
	t.Helper()
	const deadline = 30 * time.Second
	query := "SELECT pid, application_name, query FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = '" + db + "'"
	for end := time.Now().Add(deadline); ; time.Sleep(20 * time.Millisecond) {
		sessions := s.Rows(t, "postgres", query)
		if len(sessions) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("sessions left: %v", sessions)
		}
	}
}

// Two runs do not write to one path.
func TestLocked(t *testing.T) {
	s := pgtest.Host(t)
	db := s.CreateDB(t)
	path := filepath.Join(t.TempDir(), "backup")
	lock, err := atomicfile.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	status, last := follow(t, pgtest.Pgberth(t, "dump", "--from", s.URL(db), "--file", path), ignore)
	if status != 11 || !strings.Contains(last.Message, path) {
		t.Errorf("status %d, %+v", status, last)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if status, last := follow(t, pgtest.Pgberth(t, "dump", "--from", s.URL(db), "--file", path), ignore); status != 0 {
		t.Errorf("status %d, %+v", status, last)
	}
	if status, last := follow(t, pgtest.Pgberth(t, "dump", "--from", s.URL(db), "--file", path), ignore); status != 1 || !strings.Contains(last.Message, "there already") {
		t.Errorf("over an archive that is there: status %d, %+v", status, last)
	}
	assertWhole(t, path)
}

// What a full disk does to large objects is said once.
func TestNoSpaceForLargeObjects(t *testing.T) {
	s := pgtest.Host(t)
	db := s.CreateDB(t)
	s.Exec(t, db, `SELECT lo_from_bytea(4711, pg_catalog.decode(pg_catalog.repeat('00', 12000000), 'hex'))`)
	for _, format := range []string{"directory", "custom"} {
		dir := t.TempDir()
		cmd := pgtest.Pgberth(t, "dump", "--from", s.URL(db), "--file", filepath.Join(dir, "backup"), "--format", format, "--compress", "none")
		cmd.Args = append([]string{"sh", "-c", `ulimit -f 8000; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		status, last := follow(t, cmd, ignore)
		if status != 1 || strings.Count(last.Message, "file too large") != 1 || !strings.Contains(last.Message, "large object 4711") {
			t.Errorf("%s: status %d, %s", format, status, last.Message)
		}
		if names := left(t, dir); len(names) > 0 {
			t.Errorf("%s: left: %v", format, names)
		}
	}
}

// A disk that runs full ends the run, which names the path and leaves nothing.
func TestNoSpace(t *testing.T) {
	s := pgtest.Host(t)
	db := s.CreateDB(t)
	s.Exec(t, db, `CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 400000) i`)
	for _, format := range []string{"directory", "custom"} {
		run := func(t *testing.T, dir string, cmd *exec.Cmd) {
			t.Helper()
			status, last := follow(t, cmd, ignore)
			if status != 1 || !strings.Contains(last.Message, filepath.Join(dir, "backup")) {
				t.Errorf("status %d, %+v", status, last)
			}
			if names := left(t, dir); len(names) > 0 {
				t.Errorf("left: %v", names)
			}
			assertNoSessions(t, s, db)
		}
		args := func(dir string) []string {
			return []string{"dump", "--from", s.URL(db), "--file", filepath.Join(dir, "backup"), "--format", format, "--compress", "none"}
		}
		t.Run(format+"-limit", func(t *testing.T) {
			dir := t.TempDir()
			cmd := pgtest.Pgberth(t, args(dir)...)
			cmd.Args = append([]string{"sh", "-c", `ulimit -f 8000; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
			cmd.Path = "/bin/sh"
			run(t, dir, cmd)
		})
		if os.Geteuid() != 0 {
			continue // only root can make a disk that is full
		}
		t.Run(format+"-full", func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := syscall.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			}()
			run(t, dir, pgtest.Pgberth(t, args(dir)...))
		})
	}
}
