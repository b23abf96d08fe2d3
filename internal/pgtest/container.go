package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// label marks a test's container with the process it belongs to.
const label = "org.pgberth.test"

// spec is what the options of a container add up to.
type spec struct {
	args    []string          // of docker run
	env     []string          // NAME=VALUE
	scripts map[string]string // for /docker-entrypoint-initdb.d
	command []string          // after the image
	volume  bool
	tmpfs   string
	network bool
	publish bool
	wait    bool
}

// An Option changes how a container is made.
type Option func(*spec)

// Env sets a variable of the container. POSTGRES_USER and POSTGRES_PASSWORD also become the server's User and Password.
func Env(name, value string) Option {
	return func(s *spec) { s.env = append(s.env, name+"="+value) }
}

// Published publishes the server on a free port of the host's loopback address.
func Published() Option { return func(s *spec) { s.publish = true } }

// NoNetwork gives the container no network: this package reaches it by a socket in a folder of its own, others only from inside.
func NoNetwork() Option { return func(s *spec) { s.network = false } }

// Tmpfs limits the memory file system that holds the data, as in "200m", for a disk that runs full.
func Tmpfs(size string) Option { return func(s *spec) { s.tmpfs = size } }

// Volume keeps the data in an anonymous volume, as the official image does, so that it outlives a restart.
func Volume() Option { return func(s *spec) { s.volume = true } }

// InitScript adds a script that runs while the cluster is initialized. Its name's suffix tells its kind, as the official image has it.
func InitScript(name, text string) Option { return func(s *spec) { s.scripts[name] = text } }

// Settings are given to the server on its command line, such as "max_connections=5".
func Settings(settings ...string) Option {
	return func(s *spec) {
		for _, setting := range settings {
			s.command = append(s.command, "-c", setting)
		}
	}
}

// DockerArgs are further arguments of docker run.
func DockerArgs(args ...string) Option {
	return func(s *spec) { s.args = append(s.args, args...) }
}

// NoWait returns as soon as the container was started, while its server still initializes.
func NoWait() Option { return func(s *spec) { s.wait = false } }

// Container starts a container with a server of that major version and removes it, with its volumes, when the test ends.
// It publishes nothing and keeps its data in memory unless the options say otherwise.
func Container(t testing.TB, major int, options ...Option) *Server {
	t.Helper()
	server, err := startContainer(major, options)
	if err == nil {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the last words of container %s:\n%s", server.Container, logs(server.Container))
			}
			if err := server.remove(); err != nil {
				t.Errorf("pgtest: %v", err)
			}
		})
	}
	return checkContainer(t, server, err)
}

// SharedContainer returns the container of that major version that the tests of a package share.
func SharedContainer(t testing.TB, major int) *Server {
	t.Helper()
	if !running.Load() {
		t.Fatal("pgtest: TestMain does not call pgtest.Main, so the shared container would never be removed")
	}
	server, err := shared.get("container "+strconv.Itoa(major), func() (*Server, error) { return startContainer(major, nil) })
	return checkContainer(t, server, err)
}

// errNoContainer is wrapped by whatever keeps this machine from running containers of ours at all.
var errNoContainer = errors.New("no container")

func checkContainer(t testing.TB, server *Server, err error) *Server {
	t.Helper()
	if errors.Is(err, errNoContainer) {
		Unavailable(t, "%v", err)
	}
	if err != nil {
		t.Fatalf("pgtest: start a container: %v", err)
	}
	return server
}

// docker runs the docker command and returns what it printed, without the last newline.
func docker(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, tail(stderr.Bytes()))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

// engine finds out once whether there is a Docker engine, and removes what killed test binaries left on it.
var engine = sync.OnceValue(func() error {
	if _, err := docker("version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("%w: %w", errNoContainer, err)
	}
	list, err := docker("ps", "--all", "--filter", "label="+label, "--format", `{{.ID}} {{.Label "`+label+`"}}`)
	if err != nil {
		return err
	}
	for line := range strings.Lines(list) {
		id, owner, _ := strings.Cut(strings.TrimSpace(line), " ")
		if pid, err := strconv.Atoi(owner); err == nil && !alive(pid) {
			_, _ = docker("rm", "--force", "--volumes", id) // another test binary may be doing the same
		}
	}
	return nil
})

// Image returns the name of the image of a major version.
func Image(major int) string { return "pgberth/postgres:" + strconv.Itoa(major) }

func startContainer(major int, options []Option) (*Server, error) {
	if err := engine(); err != nil {
		return nil, err
	}
	if _, err := docker("image", "inspect", "--format", "{{.Id}}", Image(major)); err != nil {
		return nil, fmt.Errorf("%w: image %s is missing; run testdata/image/build.sh %d", errNoContainer, Image(major), major)
	}
	config, err := parseConfig()
	if err != nil {
		return nil, err
	}
	spec := &spec{scripts: make(map[string]string), network: true, wait: true}
	for _, option := range options {
		option(spec)
	}
	s := &Server{
		Major: major, Container: "pgberth-test-" + random(), Image: Image(major), Port: 5432,
		User: "postgres", Password: "secret-" + random(), config: config,
	}
	c := &containerServer{Server: s, spec: spec}
	s.start, s.stop, s.remove, s.find = c.restart, c.stop, c.remove, c.ready
	if err := c.run(); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	return s, nil
}

// A containerServer is a server in a container.
type containerServer struct {
	*Server
	spec *spec
}

func (c *containerServer) run() error {
	args := []string{"run", "--detach", "--name", c.Container, "--label", label + "=" + strconv.Itoa(os.Getpid())}
	for _, env := range c.spec.env {
		args = append(args, "--env", env)
		switch name, value, _ := strings.Cut(env, "="); name {
		case "POSTGRES_USER":
			c.User = value
		case "POSTGRES_PASSWORD":
			c.Password = value
		}
	}
	if !slices.ContainsFunc(c.spec.env, func(env string) bool { return strings.HasPrefix(env, "POSTGRES_PASSWORD") }) {
		args = append(args, "--env", "POSTGRES_PASSWORD="+c.Password)
	}
	if !c.spec.volume {
		args = append(args, "--tmpfs", c.tmpfs())
	}
	if c.spec.publish {
		args = append(args, "--publish", "127.0.0.1::5432")
	}
	command := c.spec.command
	if !c.spec.network || len(c.spec.scripts) > 0 {
		if err := c.makeDir(); err != nil {
			return err
		}
		if len(c.spec.scripts) > 0 {
			args = append(args, "--volume", filepath.Join(c.dir, "init")+":/docker-entrypoint-initdb.d:ro")
		}
	}
	if !c.spec.network {
		args = append(args, "--network", "none", "--volume", filepath.Join(c.dir, "socket")+":/pgtest")
		command = append(command, "-c", "unix_socket_directories=/var/run/postgresql,/pgtest")
	}
	args = append(args, c.spec.args...)
	args = append(args, c.Image)
	if _, err := docker(append(args, command...)...); err != nil {
		return err
	}
	return c.ready()
}

// tmpfs returns the argument that puts the data into memory.
func (c *containerServer) tmpfs() string {
	path := "/var/lib/postgresql/data"
	if c.Major >= 18 {
		path = "/var/lib/postgresql"
	}
	if c.spec.tmpfs != "" {
		return path + ":size=" + c.spec.tmpfs
	}
	return path
}

// makeDir makes the folder whose parts are mounted into the container.
func (c *containerServer) makeDir() error {
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return err
	}
	c.dir = dir
	for _, sub := range []string{"", "init", "socket"} {
		path := filepath.Join(dir, sub)
		if err := os.MkdirAll(path, 0o777); err != nil {
			return err
		}
		if err := os.Chmod(path, 0o777); err != nil { // the server has a user of its own
			return err
		}
	}
	for name, text := range c.spec.scripts {
		path := filepath.Join(dir, "init", name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// ready finds the container's address and waits for its server.
func (c *containerServer) ready() error {
	if err := c.locate(); err != nil {
		return err
	}
	if !c.spec.wait {
		return nil
	}
	return c.wait(func() error {
		state, err := docker("inspect", "--format", "{{.State.Running}}", c.Container)
		if err == nil && state != "true" {
			err = fmt.Errorf("container %s ended at its start:\n%s", c.Container, logs(c.Container))
		}
		return err
	})
}

// locate sets the address by which the host reaches the server.
func (c *containerServer) locate() error {
	switch {
	case !c.spec.network:
		c.Host, c.SocketDir = filepath.Join(c.dir, "socket"), filepath.Join(c.dir, "socket")
		return nil
	case c.spec.publish:
		address, err := docker("port", c.Container, "5432/tcp")
		if err != nil {
			return err
		}
		_, port, _ := strings.Cut(address, ":")
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return fmt.Errorf("published address %q: %w", address, err)
		}
		c.Host, c.Port = "127.0.0.1", uint16(number)
		return nil
	default:
		addresses, err := docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", c.Container)
		if err != nil {
			return err
		}
		fields := strings.Fields(addresses)
		if len(fields) == 0 {
			return fmt.Errorf("container %s has no address:\n%s", c.Container, logs(c.Container))
		}
		c.Host = fields[0]
		return nil
	}
}

func (c *containerServer) stop(kill bool) error {
	verb := "stop"
	if kill {
		verb = "kill"
	}
	if _, err := docker(verb, c.Container); err != nil {
		return err
	}
	// The engine may answer before it has noted the end, and would then take a start for needless.
	_, err := docker("wait", c.Container)
	return err
}

func (c *containerServer) restart() error {
	if _, err := docker("start", c.Container); err != nil {
		return err
	}
	return c.ready()
}

func (c *containerServer) remove() error {
	_, err := docker("rm", "--force", "--volumes", c.Container)
	if err != nil && strings.Contains(err.Error(), "No such container") {
		err = nil
	}
	if c.dir != "" {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}

func logs(container string) []byte {
	out, _ := exec.Command("docker", "logs", "--tail", "40", container).CombinedOutput() // its words are the message
	return tail(out)
}
