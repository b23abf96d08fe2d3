package containerpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/mount"
)

// Compose makes the container of a service of the user's own Compose file, with
// its override and .env, by "docker compose up", or docker-compose where that is
// what there is. A container that is there is started if need be, and never made
// anew, whatever has changed in the file since; one that runs is left alone.
// Without a file it is the one Compose finds in the current folder.
func (e *Engine) Compose(ctx context.Context, file, service string) (_ *Created, err error) {
	if service == "" {
		return nil, errors.New("give the Compose service with --service")
	}
	c, err := e.findCompose(ctx, file)
	if err != nil {
		return nil, err
	}
	before, err := e.containersOf(ctx, c, service)
	if err != nil {
		return nil, err
	}
	known, err := e.volumes(ctx)
	if err != nil {
		return nil, err
	}
	made := &Created{Ours: len(before) == 0}
	made.remove = func(ctx context.Context) error { return e.removeService(ctx, c, service, known) }
	defer func() {
		if err != nil {
			err = errors.Join(err, made.Remove(ctx))
		}
	}()
	after := slices.DeleteFunc(slices.Clone(before), func(b box) bool { return !b.running() })
	if len(after) == 0 {
		if _, err := c.run(ctx, "up", "--detach", "--no-recreate", service); err != nil {
			return nil, err
		}
		if after, err = e.containersOf(ctx, c, service); err != nil {
			return nil, err
		}
	}
	if len(after) != 1 {
		return nil, fmt.Errorf("Compose service %q has %d containers; name one with --to docker://NAME", service, len(after))
	}
	made.ID, made.Name = after[0].id, after[0].name
	return made, nil
}

// containersOf are the containers of a service, running or not, less those of
// "compose run".
func (e *Engine) containersOf(ctx context.Context, c *compose, service string) ([]box, error) {
	out, err := c.run(ctx, "ps", "--all", "--quiet", service)
	if err != nil {
		return nil, err
	}
	var boxes []box
	for _, id := range strings.Fields(out) {
		b, err := e.inspect(ctx, id)
		if errdefs.IsNotFound(err) {
			continue // gone since it was listed
		}
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(b.labels[labelOneoff], "true") {
			boxes = append(boxes, b)
		}
	}
	return boxes, nil
}

// removeService removes the container of a service, and those of its volumes that
// are not among the known ones, which were there before it.
func (e *Engine) removeService(ctx context.Context, c *compose, service string, known map[string]bool) error {
	boxes, err := e.containersOf(ctx, c, service)
	if err != nil {
		return err
	}
	_, err = c.run(ctx, "rm", "--stop", "--force", service)
	errs := []error{err}
	for _, b := range boxes {
		for _, m := range b.info.Mounts {
			if m.Type == mount.TypeVolume && m.Name != "" && !known[m.Name] {
				errs = append(errs, e.removeVolume(ctx, m.Name))
			}
		}
	}
	return errors.Join(errs...)
}

// A compose is a way to run Compose on a file, for an engine.
type compose struct {
	engine  *Engine
	command []string
}

// findCompose finds which form of Compose there is.
func (e *Engine) findCompose(ctx context.Context, file string) (*compose, error) {
	c := &compose{engine: e, command: []string{"docker", "compose"}}
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() != nil {
		c.command = []string{"docker-compose"}
		if _, err := exec.LookPath("docker-compose"); err != nil {
			return nil, errors.New("neither docker compose nor docker-compose is installed")
		}
	}
	if file == "" {
		return c, nil
	}
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("the Compose file: %w", err)
	}
	c.command = append(c.command, "--file", file)
	override, err := overrideOf(file)
	if override != "" {
		c.command = append(c.command, "--file", override)
	}
	return c, err
}

// overrideOf is the file that Compose takes with another that it finds by itself; it takes none with a file that it is given.
func overrideOf(file string) (string, error) {
	dir, name := filepath.Split(file)
	if !slices.Contains([]string{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}, name) {
		return "", nil
	}
	for _, name := range []string{"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"} {
		override := filepath.Join(dir, name)
		if _, err := os.Stat(override); !errors.Is(err, os.ErrNotExist) {
			return override, err
		}
	}
	return "", nil
}

// run runs Compose, whose words are the error if it fails.
func (c *compose) run(ctx context.Context, args ...string) (_ string, err error) {
	env, release, err := c.engine.dockerEnv()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	words := append(c.command[:len(c.command):len(c.command)], args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var stdout bytes.Buffer
	stderr := newTail(2 << 10)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &stdout, stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("%s %s: %w: %s", strings.Join(c.command, " "), args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// dockerEnv is an environment in which docker's programs use this engine, until release is called. They need not know how to get to
// another machine: docker-compose by ssh, for one, wants paramiko and passes over the port in ssh's configuration.
func (e *Engine) dockerEnv() (env []string, release func() error, err error) {
	host, release := e.host, func() error { return nil }
	env = append(os.Environ(), "DOCKER_CONTEXT=")
	if !strings.HasPrefix(host, "unix://") {
		socket, err := relay("docker.sock", e.docker.Dialer())
		if err != nil {
			return nil, nil, fmt.Errorf("make a socket that leads to the engine: %w", err)
		}
		host, release = "unix://"+socket.path, socket.close
		env = append(env, "DOCKER_TLS=", "DOCKER_TLS_VERIFY=", "DOCKER_CERT_PATH=")
	}
	return append(env, "DOCKER_HOST="+host), release, nil
}
