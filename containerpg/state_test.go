package containerpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
)

// A server whose container's health check fails is used, and its user warned. One that is paused would never answer.
func TestUnhealthyAndPaused(t *testing.T) {
	t.Parallel()
	e, pg := container17(t, pgtest.DockerArgs("--health-cmd", "echo no milk; false", "--health-interval", "1s", "--health-retries", "1"))
	heard := &events{}
	e.Reporter = heard
	eventually(t, func() error {
		b, err := e.inspect(t.Context(), pg.Container)
		if _, unhealthy := b.unhealthy(); err == nil && !unhealthy {
			err = errors.New("it is healthy")
		}
		return err
	})
	mustAnswer(t, resolve(t, e, Selector{Name: pg.Container}), "postgres")
	servers, err := e.Locate(t.Context(), Selector{Name: pg.Container})
	if err != nil || len(servers) != 1 || servers[0].Problem != "" {
		t.Errorf("%+v, %v", servers, err)
	}
	warning := progress.Warning{Object: "container " + pg.Container, Text: "its server answers, but its health check fails: no milk",
		Remedy: "docker inspect " + pg.Container + " shows the check"}
	if diff := cmp.Diff([]progress.Event{warning, warning}, heard.list); diff != "" {
		t.Error(diff)
	}

	docker := func(verb string) {
		t.Helper()
		if out, err := exec.Command("docker", verb, pg.Container).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	docker("pause")
	_, err = e.Resolve(t.Context(), Selector{Name: pg.Container})
	wantError[*StoppedError](t, err, "is paused; docker unpause "+pg.Container)
	servers, err = e.Locate(t.Context(), Selector{Name: pg.Container})
	if err != nil || len(servers) != 1 || servers[0].Problem != fmt.Sprintf("container %q is paused; docker unpause %s", pg.Container, pg.Container) {
		t.Errorf("%+v, %v", servers, err)
	}
	docker("unpause")
	resolve(t, e, Selector{Name: pg.Container})
}

func TestRestarting(t *testing.T) {
	t.Parallel()
	e := openEngine(t)
	pgtest.SharedContainer(t, 17) // skips where there can be none
	name := start(t, e, &container.Config{Image: pgtest.Image(17), Entrypoint: []string{"sh", "-c", "exit 3"}},
		&container.HostConfig{NetworkMode: "none", RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyAlways}})
	want := fmt.Sprintf("container %q keeps stopping and is being restarted (exit 3); docker logs %s says why", name, name)
	eventually(t, func() error { // it runs for a moment now and then
		_, err := e.Resolve(t.Context(), Selector{Name: name})
		if stopped, ok := errors.AsType[*StoppedError](err); !ok || stopped.Error() != want {
			return fmt.Errorf("%w, want %s", err, want)
		}
		servers, err := e.Locate(t.Context(), Selector{Name: name})
		if err != nil || len(servers) != 1 || servers[0].Problem != want {
			return fmt.Errorf("%+v, %w", servers, err)
		}
		return nil
	})
}

func TestNotPostgres(t *testing.T) {
	t.Parallel()
	e := openEngine(t)
	pgtest.SharedContainer(t, 17) // skips where there can be none
	run := func(t *testing.T, change func(*container.Config, *container.HostConfig)) (name string, inProject Selector) {
		project := strings.ToLower(pgtest.NewName("project"))
		config := &container.Config{Image: pgtest.Image(17), Cmd: []string{"sleep", "600"}, Labels: map[string]string{labelProject: project}}
		host := &container.HostConfig{NetworkMode: "none"}
		change(config, host)
		return start(t, e, config, host), Selector{Project: project}
	}
	nowhere := func(t *testing.T, inProject Selector) {
		t.Helper()
		if servers, err := e.Locate(t.Context(), inProject); err != nil || len(servers) != 0 {
			t.Errorf("located %+v, %v", servers, err)
		}
	}
	for how, enabled := range map[string]bool{"plain": false, "under an init": true} {
		t.Run(how, func(t *testing.T) {
			name, inProject := run(t, func(_ *container.Config, host *container.HostConfig) { host.Init = &enabled })
			nowhere(t, inProject) // whatever it runs at this moment
			_, err := e.Resolve(t.Context(), Selector{Name: name})
			wantError[*NotPostgresError](t, err, name, `runs "sleep 600", not a Postgres server`)
			nowhere(t, inProject)
			servers, err := e.Locate(t.Context(), Selector{Name: name})
			if err != nil || len(servers) != 1 || !strings.Contains(servers[0].Problem, "not a Postgres server") {
				t.Errorf("%+v, %v", servers, err)
			}
		})
	}
	t.Run("in its entrypoint", func(t *testing.T) {
		script := filepath.Join(t.TempDir(), "slow-entrypoint.sh")
		if err := os.WriteFile(script, []byte("#!/bin/sh\nsleep 600\nexec \"$@\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		name, inProject := run(t, func(config *container.Config, host *container.HostConfig) {
			config.Entrypoint, host.Binds = []string{"/slow-entrypoint.sh"}, []string{script + ":/slow-entrypoint.sh:ro"}
		})
		eventually(t, func() error {
			b, err := e.inspect(t.Context(), name)
			if err != nil {
				return err
			}
			if commands, _ := e.processes(t.Context(), b); !entrypointAtWork(commands) {
				return fmt.Errorf("it runs %q", commands)
			}
			return nil
		})
		// What others execute in it says nothing: a file of a server that is read, for one.
		if out, err := exec.Command("docker", "exec", "--detach", name, "tail", "-f", "/dev/null", "/var/lib/postgresql/data/postmaster.pid").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		eventually(t, func() error {
			if all := e.top(t.Context(), name); !slices.ContainsFunc(all, func(p process) bool { return strings.HasPrefix(p.command, "tail") }) {
				return fmt.Errorf("it runs %q", all)
			}
			return nil
		})
		nowhere(t, inProject)
		servers, err := e.Locate(t.Context(), Selector{Name: name})
		if err != nil || len(servers) != 1 || !strings.Contains(servers[0].Problem, "still starting") {
			t.Errorf("%+v, %v", servers, err)
		}
	})
}
