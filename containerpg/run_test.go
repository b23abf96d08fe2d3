package containerpg

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"go.uber.org/goleak"

	"github.com/pgberth/pgberth/internal/owner"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// anImage makes sure of the image that side containers are made of.
func anImage(t *testing.T) (*Engine, string) {
	t.Helper()
	e := openEngine(t)
	if _, err := e.inspectImage(t.Context(), pgtest.Image(17)); err != nil {
		pgtest.Unavailable(t, "%v", err)
	}
	return e, pgtest.Image(17)
}

// needImage does the same for a test after which there is no side container. Such tests do not run side by side.
func needImage(t *testing.T) (*Engine, string) {
	t.Helper()
	e, image := anImage(t)
	t.Cleanup(func() {
		if left := sideContainers(t, e); len(left) > 0 {
			t.Errorf("side containers were left: %q", left)
		}
	})
	return e, image
}

func TestRunStreamsEveryByte(t *testing.T) {
	e, image := needImage(t)
	dir := t.TempDir()
	data := make([]byte, 9<<20+123)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 32767, 32768, 32769, len(data)} {
		var stdout, stderr bytes.Buffer
		err := e.Run(t.Context(), RunSpec{
			Image: image, Cmd: []string{"sh", "-c", `echo note >&2; head -c "$1" /mnt/data`, "sh", fmt.Sprint(size)}, Network: "none",
			Binds:  []Bind{{Source: dir, Target: "/mnt", ReadOnly: true}},
			Stdout: &stdout, Stderr: &stderr,
		})
		if err != nil || !bytes.Equal(stdout.Bytes(), data[:size]) || stderr.String() != "note\n" {
			t.Errorf("%d bytes: got %d that differ, %q, %v", size, stdout.Len(), stderr.String(), err)
		}
	}
}

// An engine waits two seconds at a container's end for those who read.
func TestRunWaitsForItsReader(t *testing.T) {
	t.Parallel()
	e, image := anImage(t)
	late := &lateWriter{}
	err := e.Run(t.Context(), RunSpec{Image: image, Cmd: []string{"head", "-c", "1000000", "/dev/zero"}, Network: "none", Stdout: late})
	if err != nil || late.n != 1000000 {
		t.Errorf("%d bytes, %v", late.n, err)
	}
}

// lateWriter takes nothing for longer than an engine waits.
type lateWriter struct{ n int }

func (w *lateWriter) Write(p []byte) (int, error) {
	if w.n == 0 {
		time.Sleep(4 * time.Second)
	}
	w.n += len(p)
	return len(p), nil
}

func TestMarked(t *testing.T) {
	const mark = "12345"
	for _, text := range []string{"", "x", "1234", "12345", "123451234", "a12345b", strings.Repeat("123", 100)} {
		for step := 1; step < 8; step++ {
			var out bytes.Buffer
			met := 0
			m := &marked{dst: &out, mark: mark, met: func() { met++ }}
			for rest := text + mark; rest != ""; rest = rest[min(step, len(rest)):] {
				if n, err := m.Write([]byte(rest[:min(step, len(rest))])); err != nil || n == 0 {
					t.Fatal(n, err)
				}
			}
			if out.String() != text || !m.done || met == 0 {
				t.Errorf("%q in steps of %d: %q, done %v, met %d", text, step, out.String(), m.done, met)
			}
		}
	}
}

func TestRunGivesCommandItsSurroundings(t *testing.T) {
	e, image := needImage(t)
	var out bytes.Buffer
	err := e.Run(t.Context(), RunSpec{
		Image: image, Cmd: []string{"sh", "-c", `id -u; id -g; printf "%s|%s|%s|%s\\n" "$PLAIN" "$SECRET" "$EMPTY" $#; cat; ls /proc/self/fd | wc -l`, "sh", "a b"},
		Env: []string{"PLAIN=seen"}, Secrets: map[string]string{"SECRET": ` \a "b" $c 'd' `, "EMPTY": ""},
		User: "12345:23456", Stdout: &out,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "12345\n23456\nseen| \\a \"b\" $c 'd' ||1\n4\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestRunRefusesSecretsOfSeveralLines(t *testing.T) {
	e := &Engine{}
	for name, value := range map[string]string{"A": "x\ny", "B=C": "x", "": "x", "D": "\x00"} {
		err := e.Run(t.Context(), RunSpec{Image: "x", Cmd: []string{"x"}, Secrets: map[string]string{name: value}})
		if err == nil || strings.Contains(err.Error(), "x\ny") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestRunErrors(t *testing.T) {
	e, image := needImage(t)
	err := e.Run(t.Context(), RunSpec{Image: image, Cmd: []string{"sh", "-c", "echo out; echo the table is locked >&2; exit 7"}, Network: "none"})
	if exit := wantError[*ExitError](t, err, "sh in a container of "+image, "status 7", "the table is locked"); exit.Code != 7 {
		t.Errorf("code %d", exit.Code)
	}
	err = e.Run(t.Context(), RunSpec{Image: image, Cmd: []string{"no_such_program"}, Network: "none"})
	if exit := wantError[*ExitError](t, err, "not found"); exit.Code != 127 {
		t.Errorf("code %d", exit.Code)
	}
	err = e.Run(t.Context(), RunSpec{Image: "pgberth/no-such-image:1", Cmd: []string{"true"}})
	if err == nil || !strings.Contains(err.Error(), `image "pgberth/no-such-image:1" is not on the docker engine; docker pull`) {
		t.Errorf("%v", err)
	}
	err = e.Run(t.Context(), RunSpec{Image: image, Cmd: []string{"true"}, Binds: []Bind{{Source: "/no/such/folder", Target: "/mnt"}}})
	if err == nil || !strings.Contains(err.Error(), "/no/such/folder") {
		t.Errorf("%v", err)
	}
	full := errors.New("no space left")
	err = e.Run(t.Context(), RunSpec{Image: image, Cmd: []string{"cat", "/dev/zero"}, Network: "none", Stdout: iotest.TruncateWriter(&failing{full}, 1<<20)})
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

// failing is a writer that is full from the start.
type failing struct{ err error }

func (f *failing) Write([]byte) (int, error) { return 0, f.err }

func TestRunEndsWhenCancelled(t *testing.T) {
	before := goleak.IgnoreCurrent()
	e, image := needImage(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		// A command that does not care for signals.
		done <- e.Run(ctx, RunSpec{Image: image, Cmd: []string{"sh", "-c", `trap "" TERM INT HUP; echo up; while :; do sleep 60; done`}, Network: "none", Stdout: writer})
	}()
	if line, err := bufio.NewReader(reader).ReadString('\n'); line != "up\n" {
		t.Fatal(line, err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := e.Close(); err != nil { // of idle connections
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
}

func TestRunKeepsSecretsOutOfTheConfiguration(t *testing.T) {
	e, image := needImage(t)
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- e.Run(ctx, RunSpec{
			Image: image, Cmd: []string{"sh", "-c", `echo "$PGPASSWORD"; sleep 600`}, Network: "none",
			Secrets: map[string]string{"PGPASSWORD": "hunter2"}, Stdout: writer,
		})
	}()
	if line, err := bufio.NewReader(reader).ReadString('\n'); line != "hunter2\n" {
		t.Fatal(line, err)
	}
	ids := sideContainers(t, e)
	if len(ids) != 1 {
		t.Errorf("side containers: %q", ids)
	}
	for _, args := range [][]string{{"inspect", ids[0]}, {"top", ids[0], "-eo", "pid,args"}, {"ps", "--no-trunc", "--all"}} {
		out, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("hunter2")) {
			t.Errorf("docker %s: %v\n%s", args[0], err, out)
		}
	}
	cancel()
	<-done
}

// runForever makes the test binary a program that has a side container and is
// killed; its value is the image.
const runForever = "PGBERTH_TEST_RUN_FOREVER"

func mainRunForever() {
	e, err := Open(context.Background(), Options{})
	if err == nil {
		err = e.Run(context.Background(), RunSpec{Image: os.Getenv(runForever), Cmd: []string{"sh", "-c", "hostname; sleep 600"}, Network: "none", Stdout: os.Stdout})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func TestRunEndsWithItsProgram(t *testing.T) {
	e, image := needImage(t)
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = append(os.Environ(), runForever+"="+image)
	program.Stderr = os.Stderr
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := bufio.NewReader(stdout).ReadString('\n') // a container's host name is the start of its ID
	if err != nil {
		t.Fatal(err)
	}
	gone, failed := e.docker.ContainerWait(t.Context(), strings.TrimSpace(id), container.WaitConditionRemoved)
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = program.Wait() // it was killed, and says so
	select {
	case <-gone:
	case err := <-failed:
		t.Error(err)
	case <-time.After(time.Minute):
		t.Errorf("container %s runs on; docker rm -f it", id)
	}
}

func TestSweep(t *testing.T) {
	e, image := needImage(t)
	parts := strings.Split(owner.Self(), "/")
	if len(parts) != 4 {
		pgtest.Unavailable(t, "no /proc here")
	}
	create := func(owner string) string {
		id, err := e.docker.CreateContainer(t.Context(), "", &container.Config{Image: image, Labels: map[string]string{labelRun: owner}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.remove(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
		return id
	}
	dead, alive := create(strings.Join(append(parts[:2:2], "999999999", "1"), "/")), create(owner.Self())
	if err := e.Run(t.Context(), RunSpec{Image: image, Cmd: []string{"true"}, Network: "none"}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.inspect(t.Context(), dead); err == nil {
		t.Error("a dead program's container is still there")
	}
	if _, err := e.inspect(t.Context(), alive); err != nil {
		t.Errorf("a living program's container: %v", err)
	}
}

// keepingDocker is an engine on which a run keeps its server, and ends, just as somebody has listed what there is.
type keepingDocker struct {
	docker
	keep func()
}

func (d *keepingDocker) ContainerList(ctx context.Context, options container.ListOptions) ([]container.Summary, error) {
	list, err := d.docker.ContainerList(ctx, options)
	if d.keep != nil {
		d.keep()
		d.keep = nil
	}
	return list, err
}

func TestReapLeavesWhatWasJustKept(t *testing.T) {
	e, image := needImage(t)
	run := exec.Command("cat") // until its standard input ends
	input, err := run.StdinPipe()
	if err == nil {
		err = run.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	end := func() {
		_ = input.Close() // which is all that ends it
		_ = run.Wait()
	}
	defer end()
	parts := strings.Split(owner.Self(), "/")
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", run.Process.Pid))
	if err != nil || len(parts) != 4 {
		pgtest.Unavailable(t, "no /proc here")
	}
	const startTime = 22 - 3 // after the name, see proc(5)
	parts[2], parts[3] = strconv.Itoa(run.Process.Pid), strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[startTime]
	id, err := e.docker.CreateContainer(t.Context(), "", &container.Config{Image: image, Labels: map[string]string{labelDrill: strings.Join(parts, "/")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.remove(context.Background(), id); err != nil {
			t.Error(err)
		}
	})
	rename := func(name string) {
		if err := e.docker.ContainerRename(t.Context(), id, name); err != nil {
			t.Fatal(err)
		}
	}
	name := pgtest.NewName("reaped")
	keeping := *e
	keeping.docker = &keepingDocker{e.docker, func() {
		rename(keptPrefix + name)
		end()
	}}
	if _, err := keeping.Reap(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := e.inspect(t.Context(), id); err != nil {
		t.Fatalf("what was kept is gone: %v", err)
	}
	rename(name)
	if _, err := e.Reap(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := e.inspect(t.Context(), id); err == nil {
		t.Error("what was not kept is still there")
	}
}

// A pg_dump is found by its major version, on no PATH too.
func TestClientCommand(t *testing.T) {
	e, image := needImage(t)
	var out bytes.Buffer
	spec := RunSpec{Image: image, Cmd: ClientCommand(17, "--version"), Env: []string{"PATH=/usr/bin:/bin"}, Network: "none", Stdout: &out}
	if err := e.Run(t.Context(), spec); err != nil || !strings.HasPrefix(out.String(), "pg_dump (PostgreSQL) 17.") {
		t.Errorf("%q, %v", &out, err)
	}
	for _, major := range []int{1, 170} {
		spec.Cmd = ClientCommand(major, "--version")
		wantError[*ExitError](t, e.Run(t.Context(), spec), fmt.Sprintf("there is no pg_dump %d in the image", major))
	}
}

// What Run is for: pg_dump of a server, from a container beside it.
func TestRunDump(t *testing.T) {
	t.Parallel()
	e, pg := container17(t)
	pg.Exec(t, "postgres", "create table games as select n, repeat('x', 1000) from generate_series(1, 5000) n")
	s := resolve(t, only(e, ViaBridge), Selector{Name: pg.Container})
	var dump bytes.Buffer
	err := e.Run(t.Context(), RunSpec{
		Image: s.Image, Cmd: []string{"pg_dump", "--host", s.Host, "--username", s.User, "--format", "custom", "--compress", "0", "postgres"},
		Secrets: map[string]string{"PGPASSWORD": s.ConnConfig("").Password}, Stdout: &dump,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(dump.Bytes(), []byte("PGDMP")) || bytes.Count(dump.Bytes(), []byte(strings.Repeat("x", 1000)+"\n")) != 5000 {
		t.Errorf("a dump of %d bytes", dump.Len())
	}
	err = e.Run(t.Context(), RunSpec{Image: s.Image, Cmd: []string{"pg_dump", "--host", s.Host, "--username", s.User, "--no-password", "postgres"}})
	wantError[*ExitError](t, err, "pg_dump in a container of", "status 1", "fe_sendauth: no password supplied")
}

// interruptedDocker is an engine whose caller gives up while a container is being created.
type interruptedDocker struct {
	docker
	interrupt func()
	created   string
}

func (d *interruptedDocker) CreateContainer(ctx context.Context, name string, config *container.Config, host *container.HostConfig) (id string, err error) {
	d.interrupt()
	d.created, err = d.docker.CreateContainer(ctx, name, config, host)
	return d.created, err
}

func TestRunInterruptedWhileCreating(t *testing.T) {
	e, image := needImage(t)
	ctx, cancel := context.WithCancel(t.Context())
	docker := &interruptedDocker{docker: e.docker, interrupt: cancel}
	e.docker = docker
	if err := e.Run(ctx, RunSpec{Image: image, Cmd: []string{"true"}, Network: "none"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v, want %v", err, context.Canceled)
	}
	if docker.created == "" {
		t.Fatal("the engine was not asked for its answer")
	}
	if _, err := docker.ContainerInspect(t.Context(), docker.created); !errdefs.IsNotFound(err) {
		t.Errorf("the container is left behind: %v", err)
	}
}
