package containerpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Compose makes the containers of a service of the user's own Compose file, with
// its overrides and .env, by "docker compose up", or docker-compose where that is
// what there is. A container that runs already is left as it is. Without a file
// it is the one Compose finds in the current folder.
func (e *Engine) Compose(ctx context.Context, file, service string) (_ *Created, err error) {
	if service == "" {
		return nil, errors.New("give the Compose service with --service")
	}
	c, err := e.findCompose(ctx, file)
	if err != nil {
		return nil, err
	}
	before, err := c.containers(ctx, service)
	if err != nil {
		return nil, err
	}
	volumes, err := e.volumes(ctx)
	if err != nil {
		return nil, err
	}
	made := &Created{Ours: len(before) == 0}
	made.remove = func(ctx context.Context) error {
		var errs []error
		b, inspectErr := e.inspect(ctx, made.ID)
		_, err := c.run(ctx, "rm", "--stop", "--force", "-v", service)
		errs = append(errs, err)
		if inspectErr == nil {
			for _, m := range b.info.Mounts { // those that were there before stay
				if m.Type == "volume" && m.Name != "" && !volumes[m.Name] {
					errs = append(errs, e.removeVolume(ctx, m.Name))
				}
			}
		}
		return errors.Join(errs...)
	}
	if _, err := c.run(ctx, "up", "--detach", service); err != nil {
		return nil, errors.Join(err, made.Remove(ctx))
	}
	after, err := c.containers(ctx, service)
	if err != nil {
		return nil, errors.Join(err, made.Remove(ctx))
	}
	if len(after) != 1 {
		return nil, errors.Join(fmt.Errorf("Compose service %q has %d containers; name one with --to docker://NAME", service, len(after)), made.Remove(ctx))
	}
	made.ID = after[0]
	b, err := e.inspect(ctx, made.ID)
	if err != nil {
		return nil, errors.Join(err, made.Remove(ctx))
	}
	made.Name = b.name
	return made, nil
}

// A compose is a way to run Compose on a file.
type compose struct {
	command []string
	env     []string
}

// findCompose finds which form of Compose there is. It is to use the same engine.
func (e *Engine) findCompose(ctx context.Context, file string) (*compose, error) {
	c := &compose{command: []string{"docker", "compose"}, env: append(os.Environ(), "DOCKER_HOST="+e.host, "DOCKER_CONTEXT=")}
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() != nil {
		c.command = []string{"docker-compose"}
		if _, err := exec.LookPath("docker-compose"); err != nil {
			return nil, errors.New("neither docker compose nor docker-compose is installed")
		}
	}
	if file != "" {
		c.command = append(c.command, "--file", file)
	}
	return c, nil
}

func (c *compose) containers(ctx context.Context, service string) ([]string, error) {
	out, err := c.run(ctx, "ps", "--quiet", service)
	return strings.Fields(out), err
}

// run runs Compose, whose words are the error if it fails.
func (c *compose) run(ctx context.Context, args ...string) (string, error) {
	words := append(c.command[:len(c.command):len(c.command)], args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var stdout bytes.Buffer
	stderr := newTail(2 << 10)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, &stdout, stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("%s %s: %w: %s", strings.Join(c.command, " "), args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
