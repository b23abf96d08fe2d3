package containerpg

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
)

// start starts a container of the engine's own making and removes it at the end.
func start(t *testing.T, e *Engine, config *container.Config, host *container.HostConfig) (name string) {
	t.Helper()
	id, err := e.docker.CreateContainer(t.Context(), "", config, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.remove(t.Context(), id); err != nil {
			t.Error(err)
		}
	})
	if err := e.docker.ContainerStart(t.Context(), id, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	b, err := e.inspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return b.name
}

// events keeps what is reported.
type events struct {
	mu   sync.Mutex
	list []progress.Event
}

func (e *events) Report(event progress.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
}

// While the cluster is made, a temporary server answers inside the container;
// what Resolve answers must be the one that stays.
func TestStartingServerIsWaitedFor(t *testing.T) {
	t.Parallel()
	e := openEngine(t)
	heard := &events{}
	e.Reporter = heard
	pg := pgtest.Container(t, 17, pgtest.NoWait(), pgtest.Published(),
		pgtest.InitScript("10-slow.sql", "create table half (n int); select pg_sleep(2); create table whole (n int);"))

	servers, err := e.Locate(t.Context(), Selector{Name: pg.Container})
	if err != nil || len(servers) != 1 || !strings.Contains(servers[0].Problem, "still starting") {
		t.Errorf("while it starts: %+v, %v", servers, err)
	}
	s := resolve(t, e, Selector{Name: pg.Container})
	if got := pg.Row(t, "postgres", "select to_regclass('whole')::text"); got != "whole" {
		t.Errorf("the last table of the script is %q", got)
	}
	if b, err := e.inspect(t.Context(), s.ID); err != nil {
		t.Error(err)
	} else if master, ok := e.readPostmaster(t.Context(), b, nil); !ok || master.pid != 1 {
		t.Errorf("reached the server with process ID %d, %v", master.pid, ok)
	}
	if len(heard.list) != 1 || !strings.Contains(heard.list[0].(progress.Notice).Text, "waiting for the server in container") {
		t.Errorf("reported %v", heard.list)
	}
}

func TestStartThatFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		args   []string
		want   []string
	}{
		"once":            {"sleep 1\necho the disk is made of cheese\nexit 3\n", nil, []string{"exit status 3", "the disk is made of cheese"}},
		"again and again": {"sleep 1\nexit 3\n", []string{"--restart", "always"}, []string{"again and again"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, pg := container17(t, pgtest.NoWait(), pgtest.DockerArgs(test.args...), pgtest.InitScript("10-fail.sh", test.script))
			_, err := e.Resolve(t.Context(), Selector{Name: pg.Container}) // while it is at it
			wantError[*StartError](t, err, append(test.want, pg.Container)...)
		})
	}
}

func TestReresolve(t *testing.T) {
	e, pg := container17(t, pgtest.Volume(), pgtest.Published())
	pg.Exec(t, "postgres", "alter role postgres password 'changed'")
	t.Setenv("PGPASSWORD", "changed") // only the first time: it is the known one that must be used
	before := resolve(t, e, Selector{Name: pg.Container, Database: "shop"})
	t.Setenv("PGPASSWORD", "")

	restart := exec.CommandContext(t.Context(), "docker", "restart", pg.Container)
	if out, err := restart.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	after, err := e.Reresolve(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	if after.SystemIdentifier != before.SystemIdentifier || after.User != before.User || after.Database != "shop" {
		t.Errorf("%+v, was %+v", after, before)
	}
	mustAnswer(t, after, "postgres")

	impostor := *before
	impostor.SystemIdentifier = "1"
	if _, err := e.Reresolve(t.Context(), &impostor); err == nil || !strings.Contains(err.Error(), "another database cluster") {
		t.Errorf("%v", err)
	}
	if err := e.remove(t.Context(), before.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Reresolve(t.Context(), before); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// A file is read through the engine where the container has no cat.
func TestReadFileBothWays(t *testing.T) {
	t.Parallel()
	e := openEngine(t)
	pgtest.Container(t, 17, pgtest.NoWait()) // skips where there can be none
	name := start(t, e, &container.Config{Image: pgtest.Image(17), Cmd: []string{"sleep", "600"}}, &container.HostConfig{NetworkMode: "none"})
	for _, read := range []func(context.Context, string, string) ([]byte, error){e.copyFile, e.readFile} {
		if data, err := read(t.Context(), name, "/etc/passwd"); err != nil || !strings.HasPrefix(string(data), "root:") {
			t.Errorf("%q, %v", data, err)
		}
		for _, path := range []string{"/no/such/file", "/etc"} {
			if data, err := read(t.Context(), name, path); err == nil {
				t.Errorf("%s: read %q", path, data)
			}
		}
		if _, err := read(t.Context(), name, "/usr/bin/perl"); !errors.Is(err, errTooLong) {
			t.Errorf("a large file: %v", err)
		}
	}
}
