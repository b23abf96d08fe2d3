package drill_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
)

// notRun checks that a drill said nothing about the backup, and why.
func notRun(t testing.TB, r *drill.Report, want string) {
	t.Helper()
	if r.Verdict != drill.NotRun || !strings.Contains(r.Reason, want) {
		t.Errorf("%s, %q; want %s", r.Verdict, r.Reason, want)
	}
}

func open(t testing.TB) *containerpg.Engine {
	t.Helper()
	engine, err := containerpg.Open(t.Context(), containerpg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return engine
}

// left says that a drill has left its server. What is left on the disk is looked for in the end.
func left(t testing.TB, server drill.Server) {
	t.Helper()
	if err := server.Alive(context.Background()); err == nil {
		t.Error("the server is still there")
	}
	if dir := server.Endpoint("x").Config.Host; filepath.IsAbs(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("left %s: %v", dir, err)
		}
	}
}

// In a container a good backup passes, and troubles of the container are not the backup's.
func TestInContainer(t *testing.T) {
	t.Parallel()
	source := pgtest.SharedContainer(t, 17)
	engine := open(t)
	db, _, reader := newShop(t, source)
	path := dumped(t, source, db)
	o := options(path)
	o.Server, o.SmokeAs = drill.Docker(engine, ""), reader
	var server drill.Server
	r := run(t, o.WithTamper(func(_ context.Context, d *drill.Drill) error {
		server = d.Throwaway()
		return nil
	}))
	if r.Verdict != drill.Passed || r.Server.Image != pgtest.Image(17) || !strings.HasPrefix(r.Server.ImageID, "sha256:") || r.Server.Settings["fsync"] != "on" {
		t.Errorf("%s %s\n%s%+v", r.Verdict, r.Reason, failures(r), r.Server)
	}
	left(t, server)

	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		var server drill.Server
		r := run(t, o.WithTamper(func(_ context.Context, d *drill.Drill) error {
			server = d.Throwaway()
			id := drill.ContainerID(server)
			return exec.Command("docker", "kill", id).Run()
		}))
		notRun(t, r, "its container is gone")
		left(t, server)
	})
	t.Run("killed while it restores", func(t *testing.T) {
		t.Parallel()
		killedWhileRestoring(t, o)
	})
	t.Run("no image", func(t *testing.T) {
		t.Parallel()
		o := o
		o.Server = drill.Docker(engine, "pgberth/no-such-image:17")
		notRun(t, run(t, o), "image pgberth/no-such-image:17 is not on the docker engine and could not be pulled; give --image one that is there")
	})
	t.Run("another version", func(t *testing.T) {
		t.Parallel()
		o := o
		o.Server = drill.Docker(engine, pgtest.Image(15))
		notRun(t, run(t, o), "is of PostgreSQL 15 and the backup of 17")
	})
	t.Run("no room", func(t *testing.T) {
		t.Parallel()
		db := source.CreateDB(t, "TEMPLATE template0")
		source.Exec(t, db, "CREATE TABLE big AS SELECT i, md5(i::text) FROM generate_series(1, 600000) i") // some 40 MB
		o := options(dumped(t, source, db))
		o.Server = func(ctx context.Context, want drill.ServerSpec) (drill.Server, error) {
			s, err := drill.InTmpfs(ctx, engine, pgtest.Image(17), want, 64<<20)
			return roomy{s}, err
		}
		notRun(t, run(t, o), "No space left on device")
	})
}

// killedWhileRestoring kills the container when a drill reports an event: the first of each kind and phase, so many of them.
// Nearly all the time goes into waiting for the address of a server that is no more, so some are killed at once.
func killedWhileRestoring(t *testing.T, o drill.Options) {
	o.SmokeAs = ""
	kinds := recorded(t, o)
	if len(kinds) < 8 {
		t.Fatalf("there are too few events: %v", kinds)
	}
	step := 1
	if !pgtest.Soak() {
		step = len(kinds) - 1 // one of each kind of end
	}
	var group errgroup.Group
	group.SetLimit(6)
	for i := 0; i < len(kinds); i += step {
		kill := []string{"docker", "kill"}
		if i%2 == 1 {
			kill = []string{"docker", "rm", "--force", "--volumes"}
		}
		group.Go(func() error {
			killedAt(t, o, kinds[i], kill)
			return nil
		})
	}
	_ = group.Wait() // what is wrong the test was told
}

// killedAt drills and kills the container at the first event of a kind.
func killedAt(t *testing.T, o drill.Options, kind string, kill []string) {
	var server drill.Server
	start := o.Server
	o.Server = func(ctx context.Context, want drill.ServerSpec) (_ drill.Server, err error) {
		server, err = start(ctx, want)
		return server, err
	}
	var once sync.Once
	o.Reporter = reporterFunc(func(e progress.Event) {
		if kindOf(e) == kind {
			once.Do(func() {
				if out, err := exec.Command(kill[0], append(kill[1:], drill.ContainerID(server))...).CombinedOutput(); err != nil {
					t.Errorf("%v: %v\n%s", kill, err, out)
				}
			})
		}
	})
	r, err := drill.Run(t.Context(), o)
	if err != nil {
		t.Errorf("%s at %s: drill: %v", kill[1], kind, err)
		return
	}
	if r.Verdict != drill.NotRun {
		t.Errorf("%s at %s: %s, %q", kill[1], kind, r.Verdict, r.Reason)
	}
	left(t, server)
}

// recorded lists the kinds of events that a drill reports between the start of its server and the end of its restore.
func recorded(t *testing.T, o drill.Options) []string {
	t.Helper()
	var mu sync.Mutex
	var kinds []string
	begun, ended := false, false
	o.Reporter = reporterFunc(func(e progress.Event) {
		mu.Lock()
		defer mu.Unlock()
		kind := kindOf(e)
		ended = ended || kind == kindOf(progress.PhaseStart{Phase: drill.PhaseChecks})
		if begun && !ended && kind != "" && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		begun = begun || kind == kindOf(progress.PhaseEnd{Phase: drill.PhaseStart})
	})
	if r := run(t, o); r.Verdict != drill.Passed {
		t.Fatalf("%s %s", r.Verdict, r.Reason)
	}
	return kinds
}

// kindOf names what an event is about, "" if it is none of the restore's steps.
func kindOf(e progress.Event) string {
	switch e := e.(type) {
	case progress.PhaseStart:
		return "the start of " + e.Phase
	case progress.PhaseEnd:
		return "the end of " + e.Phase
	case progress.UnitStart:
		return "a beginning in " + e.Phase
	case progress.UnitEnd:
		return "an end in " + e.Phase
	}
	return ""
}

type reporterFunc func(progress.Event)

func (f reporterFunc) Report(e progress.Event) { f(e) }

// roomy claims to have room.
type roomy struct{ drill.Server }

func (roomy) FreeDisk(context.Context) (int64, error) { return 1 << 40, nil }

func TestNoServer(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db := host.CreateDB(t, "TEMPLATE template0")
	o := options(dumped(t, host, db))
	o.Server = func(context.Context, drill.ServerSpec) (drill.Server, error) {
		return nil, errors.New("no engine answers")
	}
	notRun(t, run(t, o), "no engine answers")
}

// A server whose programs end under it, on this host.
func TestServerDies(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db := host.CreateDB(t, "TEMPLATE template0")
	var server drill.Server
	r := run(t, options(dumped(t, host, db)).WithTamper(func(ctx context.Context, d *drill.Drill) error {
		server = d.Throwaway()
		dir := d.Throwaway().Endpoint("x").Config.Host
		pid, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(pid), "\n")
		return exec.CommandContext(ctx, "kill", "-KILL", first).Run()
	}))
	notRun(t, r, "")
	left(t, server)
}

// A drill that is interrupted leaves nothing.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db := host.CreateDB(t, "TEMPLATE template0")
	ctx, cancel := context.WithCancel(t.Context())
	var server drill.Server
	r, err := drill.Run(ctx, options(dumped(t, host, db)).WithTamper(func(_ context.Context, d *drill.Drill) error {
		server = d.Throwaway()
		cancel()
		return nil
	}))
	if r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("report %v, error %v", r, err)
	}
	left(t, server)
}

// A server is kept on request, and only when the drill did not pass: until its user removes it.
func TestKeepOnFailure(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db := host.CreateDB(t, "TEMPLATE template0")
	host.Exec(t, db, "CREATE TABLE t (id int)")
	path := dumped(t, host, db)
	o := options(path)
	o.KeepOnFailure = true
	if r := run(t, o); r.Verdict != drill.Passed || r.Kept != nil {
		t.Errorf("%s, kept %v", r.Verdict, r.Kept)
	}
	checks := filepath.Join(t.TempDir(), "checks.yaml")
	if err := os.WriteFile(checks, []byte("checks:\n  - sql: SELECT * FROM t\n    rows: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pgtest.SharedContainer(t, 17) // skips where there can be none
	for _, kind := range []string{"local", "docker"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			args := []string{"drill", path, "--keep-on-failure", "--checks", checks, "--json", "--server", kind}
			status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, args...))
			var r drill.Report
			for line := range strings.Lines(stdout) {
				if strings.Contains(line, `"verdict"`) {
					if err := json.Unmarshal([]byte(line), &r); err != nil {
						t.Fatal(err)
					}
				}
			}
			if status != 21 || r.Kept == nil {
				t.Fatalf("status %d, kept %v\n%s%s", status, r.Kept, stdout, stderr)
			}
			look := strings.Replace(r.Kept.Look, "-it", "-i", 1) + " -c 'TABLE t'"
			shell := func(command string) {
				t.Helper()
				if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", command, err, out)
				}
			}
			shell(look)
			if status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, "drill", "--reap")); status != 0 { // which may find what others have left
				t.Errorf("reap: status %d\n%s%s", status, stdout, stderr)
			}
			shell(look)
			if kind != "local" {
				// As soon as the container is gone another drill may take the network away.
				container, network, _ := strings.Cut(r.Kept.Remove, " && ")
				shell(container)
				if out, err := exec.Command("sh", "-c", network).CombinedOutput(); err != nil && !strings.Contains(string(out), "not found") {
					t.Errorf("%s: %v\n%s", network, err, out)
				}
				for _, words := range []string{container, network} {
					name := words[strings.LastIndexByte(words, ' ')+1:]
					if out, err := exec.Command("docker", "inspect", name).CombinedOutput(); err == nil {
						t.Errorf("%s is left: %s", name, out)
					}
				}
				return
			}
			shell(r.Kept.Remove)
			_, dir, _ := strings.Cut(r.Kept.Look, "-h ")
			dir, _, _ = strings.Cut(dir, " ")
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for deadline := time.Now().Add(time.Minute); ; <-tick.C { // the server takes a moment to end
				if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
					break
				} else if time.Now().After(deadline) {
					t.Fatalf("left %s, %v", dir, err)
				}
			}
		})
	}
}
