package containerpg

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// makeImage makes sure of an image, and answers an engine.
func makeImage(t *testing.T) *Engine {
	t.Helper()
	e := openEngine(t)
	pgtest.SharedContainer(t, 17) // skips where there can be none
	return e
}

func gone(t *testing.T, e *Engine, made *Created, volume string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := made.Remove(ctx); err != nil {
		t.Error(err)
	}
	if _, err := e.inspect(ctx, made.ID); !errdefs.IsNotFound(err) {
		t.Errorf("the container: %v", err)
	}
	if known, err := e.volumes(ctx); err != nil || known[volume] {
		t.Errorf("the volume is there: %v, %v", known[volume], err)
	}
}

func TestCreate(t *testing.T) {
	pgtest.Long(t)
	e := makeImage(t)
	name := pgtest.NewName("made")
	spec := CreateSpec{Name: name, Image: pgtest.Image(17), Volume: name, PasswordFile: filepath.Join(t.TempDir(), "new", "password")}
	made, err := e.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	removed := false
	defer func() {
		if !removed {
			gone(t, e, made, name)
		}
	}()
	s := resolve(t, e, Selector{Name: name})
	mustAnswer(t, s, "postgres")
	info, err := os.Stat(spec.PasswordFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	text, err := os.ReadFile(spec.PasswordFile)
	if err != nil || strings.TrimSpace(string(text)) != s.ConnConfig("").Password || len(text) < 20 {
		t.Errorf("the file does not hold the password: %v", err)
	}
	if s.ShmSize != shmSize || len(s.Published) != 0 {
		t.Errorf("%+v", s)
	}
	if made.Older(s) {
		t.Error("a new volume is taken for one with a cluster")
	}
	again := spec
	again.Name, again.PasswordFile = pgtest.NewName("made"), filepath.Join(t.TempDir(), "password")
	if err := e.docker.ContainerStop(t.Context(), made.ID, container.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	second, err := e.Create(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if !second.Older(resolve(t, e, Selector{Name: again.Name})) {
		t.Error("the cluster of an old volume is taken for a new one, with the new password")
	}
	if err := second.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := e.Create(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "is there already; leave out --create-container") {
		t.Errorf("a second one: %v", err)
	}
	gone(t, e, made, name)
	removed = true
	if _, err := os.Stat(spec.PasswordFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the password file: %v", err)
	}
}

func TestCreateErrors(t *testing.T) {
	e := makeImage(t)
	file := filepath.Join(t.TempDir(), "password")
	spec := CreateSpec{Name: pgtest.NewName("made"), Image: pgtest.Image(17), PasswordFile: file}
	internal := pgtest.NewName("internal")
	if out, err := exec.Command("docker", "network", "create", "--internal", internal).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "network", "rm", internal).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	for want, change := range map[string]func(*CreateSpec){
		"docker pull pgberth/nowhere:1":       func(s *CreateSpec) { s.Image = "pgberth/nowhere:1" },
		"want [ADDRESS:]PORT":                 func(s *CreateSpec) { s.Publish = "54320:5432" },
		"give a name and an image":            func(s *CreateSpec) { s.Name = "" },
		"publishes no port on network":        func(s *CreateSpec) { s.Network, s.Publish = internal, "127.0.0.1:54999" },
		"no_such_network":                     func(s *CreateSpec) { s.Network = "no_such_network" },
		"password file " + file + " is there": func(*CreateSpec) { write(t, file, "mine", 0o600) },
	} {
		changed := spec
		change(&changed)
		if _, err := e.Create(t.Context(), changed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
		if _, err := e.inspect(t.Context(), spec.Name); !errdefs.IsNotFound(err) {
			t.Errorf("want %q: a container was left: %v", want, err)
		}
		text, err := os.ReadFile(file)
		if string(text) != "mine" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("want %q: a password file was left, %v", want, err)
		}
		_ = os.Remove(file)
	}
}

// Somebody loses patience while the engine is at it: nothing is left, whatever the engine makes of it.
func TestCreateInterrupted(t *testing.T) {
	e := makeImage(t)
	ctx, cancel := context.WithCancel(t.Context())
	docker := &interruptedDocker{docker: e.docker, interrupt: cancel}
	e.docker = docker
	file := filepath.Join(t.TempDir(), "password")
	if _, err := e.Create(ctx, CreateSpec{Name: pgtest.NewName("made"), Image: pgtest.Image(17), PasswordFile: file}); !errors.Is(err, context.Canceled) {
		t.Errorf("Create: %v, want %v", err, context.Canceled)
	}
	if docker.created == "" {
		t.Fatal("the engine was not asked for its answer")
	}
	if _, err := docker.ContainerInspect(t.Context(), docker.created); !errdefs.IsNotFound(err) {
		t.Errorf("the container is left behind: %v", err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the password file: %v", err)
	}
}

func TestCompose(t *testing.T) {
	pgtest.Long(t)
	e := makeImage(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "compose.yaml")
	write(t, file, "version: \"2.4\"\nservices:\n  db:\n    image: "+pgtest.Image(17)+"\n    expose: [\"5432\"]\n    environment:\n"+
		"      POSTGRES_PASSWORD: ${SECRET}\n      POSTGRES_USER: app\n    volumes: [\"data:/var/lib/postgresql/data\"]\nvolumes:\n  data:\n", 0o600)
	write(t, filepath.Join(dir, ".env"), "SECRET=of the file\nCOMPOSE_PROJECT_NAME="+strings.ToLower(pgtest.NewName("compose"))+"\n", 0o600)
	t.Chdir(dir) // where Compose looks for .env
	made, err := e.Compose(t.Context(), file, "db")
	if err != nil {
		t.Fatal(err)
	}
	s := resolve(t, e, Selector{Name: made.ID})
	if !made.Ours || s.Service != "db" || s.User != "app" || s.ConnConfig("").Password != "of the file" {
		t.Errorf("%+v", s)
	}
	again, err := e.Compose(t.Context(), file, "db")
	if err != nil || again.Ours || again.ID != made.ID {
		t.Errorf("%+v, %v", again, err)
	}
	if err := again.Remove(t.Context()); err != nil { // is not its maker
		t.Error(err)
	}
	mustAnswer(t, s, "postgres")
	// Neither a change of the file nor a stop makes it another's, or another one.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(text), "POSTGRES_USER: app", "POSTGRES_USER: app\n      OTHER: x", 1), 0o600)
	for _, stopped := range []bool{false, true} {
		if stopped {
			if out, err := exec.Command("docker", "kill", made.ID).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		same, err := e.Compose(t.Context(), file, "db")
		if err != nil || same.Ours || same.ID != made.ID {
			t.Errorf("stopped %v: %+v, %v", stopped, same, err)
		}
	}
	mustAnswer(t, resolve(t, e, Selector{Name: made.ID}), "postgres")
	if _, err := e.Compose(t.Context(), file, "nothing"); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("no such service: %v", err)
	}
	gone(t, e, made, s.Project+"_data")

	// A volume that was there before stays, with what is in it.
	volume := s.Project + "_data"
	if out, err := exec.Command("docker", "volume", "create", "--label", "com.docker.compose.project="+s.Project, "--label", "com.docker.compose.volume=data", volume).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	next, err := e.Compose(t.Context(), file, "db")
	if err != nil || !next.Ours {
		t.Fatalf("%+v, %v", next, err)
	}
	if err := next.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if known, err := e.volumes(t.Context()); err != nil || !known[volume] {
		t.Errorf("the volume that was there before is gone: %v", err)
	}
	c, err := e.findCompose(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.run(t.Context(), "down", "--volumes"); err != nil {
		t.Error(err)
	}
}
