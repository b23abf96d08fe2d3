package containerpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/pgberth/pgberth/internal/owner"
)

// A RunSpec is a command to run in a container of its own.
type RunSpec struct {
	Image string
	// Cmd is the program and its arguments. The image's entrypoint is not used;
	// the image must have a POSIX /bin/sh.
	Cmd []string
	// Env is a list of NAME=VALUE. Anyone who may talk to the engine can read it.
	Env []string
	// Secrets are variables that the command finds in its environment and that
	// nobody finds in the container's configuration. A value is one line.
	Secrets map[string]string
	User    string // "uid:gid"; empty means the image's user
	// Network is the network mode; empty means "host", which reaches what this
	// program reaches if the engine is on the same machine.
	Network string
	Binds   []Bind
	// Stdout receives what the command writes, byte for byte, no faster than it
	// takes it. Nil discards it. A Write that hangs keeps Run from returning.
	Stdout io.Writer
	// Stderr receives messages as they come. Nil discards them; their end is kept
	// for the error either way.
	Stderr io.Writer
}

// A Bind makes a folder of the engine's machine visible in a container.
type Bind struct {
	Source, Target string
	ReadOnly       bool
}

// labelRun marks side containers, and says who made them.
const labelRun = "org.pgberth.run"

const (
	cleanupTimeout = 20 * time.Second
	stderrKept     = 8 << 10
)

// guard runs "$@" with the secrets that are among the first lines of standard
// input, $1 of them, and ends it when standard input does: that is, when the
// program at the other end is gone, for whatever reason. TERM first, so that the
// server is told; the end of this shell ends the container and with it all the
// rest.
//
// After the command it writes the mark, the very first line, and waits until
// standard input ends: an engine drops what was not fetched two seconds after a
// container's end, and the reader may take its time.
const guard = `exec 3<&0 </dev/null
n=$1
shift
IFS= read -r mark <&3 || exit 125
while [ "$n" -gt 0 ]; do
	IFS= read -r line <&3 || exit 125
	export "$line"
	n=$((n - 1))
done
unset line n
"$@" 3<&- &
p=$!
(
	read -r line
	kill -TERM $p
	sleep 5
	kill -KILL $p
) <&3 >/dev/null 2>&1 &
w=$!
wait $p
rc=$?
{ kill $w; wait $w; } 2>/dev/null
printf %s "$mark"
exec >/dev/null
read -r line <&3
exit $rc
`

// Run runs a command in a new container and waits until the container is gone,
// which it is when Run returns, and soon after this program ends in any way,
// kill -9 included. It succeeds if the command exited with status 0 and all it
// wrote was taken; another status is an [*ExitError].
func (e *Engine) Run(ctx context.Context, spec RunSpec) error {
	config, err := spec.config()
	if err != nil {
		return err
	}
	// The wait and the streams end with this context, whatever happens.
	run, stop := context.WithCancel(ctx)
	defer stop()

	e.sweep(run)
	id, err := e.create(run, "", config, spec.hostConfig())
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("image %q is not on the docker engine; docker pull %s", spec.Image, spec.Image)
	}
	if err != nil {
		return fmt.Errorf("create container of %s: %w", spec.Image, err)
	}
	err = e.attend(run, id, spec)
	if err == nil {
		return nil
	}
	if _, exited := errors.AsType[*ExitError](err); exited && ctx.Err() == nil {
		return err // and the engine has removed the container
	}
	removeErr := e.remove(ctx, id)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return errors.Join(err, removeErr)
}

// create creates a container; without a name it gets one. The engine does so even if nobody waits for its
// answer, and the answer says which one must be removed: so the end of ctx does
// not cut it short.
func (e *Engine) create(ctx context.Context, name string, config *container.Config, host *container.HostConfig) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return e.docker.CreateContainer(ctx, name, config, host)
}

// attend starts a created container and stays with it until it is gone.
func (e *Engine) attend(ctx context.Context, id string, spec RunSpec) error {
	stream, err := e.docker.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("attach to container of %s: %w", spec.Image, err)
	}
	defer stream.Close()
	unblock := context.AfterFunc(ctx, stream.Close)
	defer unblock()

	// Asked for before the start, so that no exit is too quick to be seen.
	wait, cancel := context.WithCancel(ctx)
	gone := e.awaitRemoval(wait, id)
	defer func() {
		cancel()
		<-gone
	}()
	if err := e.docker.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return fmt.Errorf("start container of %s: %w", spec.Image, err)
	}
	mark := rand.Text()
	if err := spec.sendSecrets(stream, mark); err != nil {
		return fmt.Errorf("talk to container of %s: %w", spec.Image, err)
	}

	stderr := newTail(stderrKept)
	stdout := &marked{dst: orDiscard(spec.Stdout), mark: mark, met: func() { _ = stream.CloseWrite() }}
	if err := demux(stdout, io.MultiWriter(stderr, orDiscard(spec.Stderr)), stream.Reader); err != nil {
		return fmt.Errorf("read output of %s: %w", spec.Cmd[0], err)
	}
	end := <-gone
	if end.err != nil {
		return fmt.Errorf("wait for container of %s: %w", spec.Image, end.err)
	}
	if end.code != 0 {
		return &ExitError{Command: spec.Cmd[0], Image: spec.Image, Code: end.code, Stderr: stderr.String()}
	}
	if !stdout.done {
		return fmt.Errorf("read output of %s: %w", spec.Cmd[0], io.ErrUnexpectedEOF)
	}
	return nil
}

// marked passes on what is written to it up to a mark at the end.
type marked struct {
	dst  io.Writer
	mark string
	met  func() // called when all that was written was passed on

	held []byte // what may be the mark
	done bool
}

// Write holds back only what the mark may begin with: a reader may wait for the rest.
func (m *marked) Write(p []byte) (int, error) {
	all := p
	if len(m.held) > 0 {
		all = slices.Concat(m.held, p)
	}
	keep := min(len(all), len(m.mark))
	for keep > 0 && string(all[len(all)-keep:]) != m.mark[:keep] {
		keep--
	}
	if pass := all[:len(all)-keep]; len(pass) > 0 { // a write of nothing waits for its reader too
		if _, err := m.dst.Write(pass); err != nil {
			return 0, err
		}
	}
	m.held = append(m.held[:0], all[len(all)-keep:]...)
	if !m.done && keep == len(m.mark) {
		m.done = true
		m.met()
	}
	return len(p), nil
}

// A removal is how a container ended, or why that is not known.
type removal struct {
	code int
	err  error
}

// awaitRemoval answers a channel that gets one removal and is closed: when the
// container is gone, or ctx is done.
func (e *Engine) awaitRemoval(ctx context.Context, id string) <-chan removal {
	removed, failed := e.docker.ContainerWait(ctx, id, container.WaitConditionRemoved)
	result := make(chan removal, 1)
	go func() {
		defer close(result)
		select {
		case status := <-removed:
			end := removal{code: int(status.StatusCode)}
			if status.Error != nil {
				end.err = errors.New(status.Error.Message)
			}
			result <- end
		case err := <-failed:
			result <- removal{err: err}
		}
	}()
	return result
}

// remove kills and removes a container, unless it is gone or going already.
func (e *Engine) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	err := e.docker.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
		return fmt.Errorf("remove side container %.12s: %w", id, err)
	}
	for {
		_, err := e.docker.ContainerInspect(ctx, id)
		if errdefs.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("remove side container %.12s: %w", id, err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("remove side container %.12s: %w; docker rm -f %.12s", id, err, id)
		}
	}
}

func (s RunSpec) config() (*container.Config, error) {
	if s.Image == "" || len(s.Cmd) == 0 {
		return nil, errors.New("run in container: no image or no command")
	}
	for name, value := range s.Secrets {
		if name == "" || strings.ContainsAny(name, "=\n\x00") || strings.ContainsAny(value, "\n\x00") {
			return nil, fmt.Errorf("run in container: secret %q is not one line", name)
		}
	}
	return &container.Config{
		Image:       s.Image,
		Entrypoint:  []string{"/bin/sh", "-c", guard, "pgberth"},
		Cmd:         append([]string{strconv.Itoa(len(s.Secrets))}, s.Cmd...),
		Env:         s.Env,
		User:        s.User,
		Labels:      map[string]string{labelRun: owner.Self()},
		OpenStdin:   true,
		StdinOnce:   true, // the end of this program is the end of its standard input
		AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		StopSignal:  "SIGTERM",
	}, nil
}

func (s RunSpec) hostConfig() *container.HostConfig {
	enabled := true
	host := &container.HostConfig{
		AutoRemove:  true,
		Init:        &enabled,
		NetworkMode: container.NetworkMode(s.Network),
		// What passes through is the user's data: no log may keep it.
		LogConfig: container.LogConfig{Type: "none"},
	}
	if s.Network == "" {
		host.NetworkMode = "host"
	}
	for _, b := range s.Binds {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: b.Source, Target: b.Target, ReadOnly: b.ReadOnly})
	}
	return host
}

func (s RunSpec) sendSecrets(stream types.HijackedResponse, mark string) error {
	var lines strings.Builder
	lines.WriteString(mark + "\n")
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		lines.WriteString(name + "=" + s.Secrets[name] + "\n")
	}
	_, err := io.WriteString(stream.Conn, lines.String())
	return err
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}
