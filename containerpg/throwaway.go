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
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/owner"
	"github.com/pgberth/pgberth/internal/session"
)

// A ThrowawaySpec is a server for one use.
type ThrowawaySpec struct {
	Image string // that keeps the contract of the official "postgres" images
	// User is the role that initdb makes; empty is postgres.
	User string
	// Settings are the server's, each NAME=VALUE.
	Settings []string
	// Tmpfs keeps the data in that many bytes of memory at most; 0 is an anonymous volume.
	Tmpfs int64
}

// A Throwaway is a running server in a container and a network of its own, which
// has no way out. Both go with Remove. After a kill -9 of this program the
// container ends by itself, and what is left is for [Engine.Reap].
type Throwaway struct {
	ID      string
	Image   string
	ImageID string // digest of the image's configuration
	Storage string // volume or tmpfs

	engine   *Engine
	network  string
	volumes  []string // names
	config   *pgx.ConnConfig
	lifeline types.HijackedResponse
	log      *safeTail
	stopLog  context.CancelFunc
	logEnded chan struct{}
}

const (
	// labelDrill marks throwaway servers and their networks, and says who made them.
	labelDrill = "org.pgberth.drill"

	throwawayDir  = "/drill"
	throwawayWait = 2 * time.Minute
	logKept       = 64 << 10
)

// lifeline ends the server when its standard input ends: when the program at the
// other end is gone. While the server is still being initialized a signal is of no use
// to it, so there is one every second. A line lets the server live.
const lifeline = `read -r line && exit 0
while kill -INT 1 2>/dev/null; do sleep 1; done`

// StartThrowaway makes a server and waits until it takes connections. After an error nothing
// is left of it.
func (e *Engine) StartThrowaway(ctx context.Context, spec ThrowawaySpec) (_ *Throwaway, err error) {
	if spec.User == "" {
		spec.User = "postgres"
	}
	image, err := e.inspectImage(ctx, spec.Image)
	if err != nil {
		return nil, err
	}
	t := &Throwaway{Image: spec.Image, ImageID: image.ID, Storage: "volume", engine: e, log: &safeTail{tail: newTail(logKept)}}
	if spec.Tmpfs > 0 {
		t.Storage = "tmpfs"
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Remove(ctx))
		}
	}()
	password := rand.Text()
	var declared []string // where the image wants volumes
	if image.Config != nil {
		declared = slices.Sorted(maps.Keys(image.Config.Volumes))
	}
	if err := t.create(ctx, spec, password, declared); err != nil {
		return nil, err
	}
	if err := t.start(ctx); err != nil {
		return nil, err
	}
	if err := t.await(ctx, spec.User, password); err != nil {
		return nil, err
	}
	return t, nil
}

// create makes network and container. The engine goes on if nobody waits for its answer, and the
// answer says what must be removed: so the end of ctx does not cut it short.
func (t *Throwaway) create(ctx context.Context, spec ThrowawaySpec, password string, declared []string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	labels := map[string]string{labelDrill: owner.Self()}
	name := "pgberth-drill-" + strings.ToLower(rand.Text()[:12])
	created, err := t.engine.docker.NetworkCreate(ctx, name, network.CreateOptions{Driver: "bridge", Internal: true, Labels: labels})
	if err != nil {
		return fmt.Errorf("create a network for the throwaway server: %w", err)
	}
	t.network = created.ID
	config, host := spec.container(password, labels, declared)
	host.NetworkMode = container.NetworkMode(name)
	t.ID, err = t.engine.create(ctx, "", config, host)
	if err != nil {
		return fmt.Errorf("create a container of %s: %w", spec.Image, err)
	}
	info, err := t.engine.docker.ContainerInspect(ctx, t.ID)
	if err != nil {
		return fmt.Errorf("inspect the throwaway server: %w", err)
	}
	for _, m := range info.Mounts {
		if m.Type == mount.TypeVolume {
			t.volumes = append(t.volumes, m.Name)
		}
	}
	return nil
}

// container is what the engine is told to make. Volumes that the image declares are labelled as the server's own: Reap could not tell them from
// others if somebody else removed the container.
func (s ThrowawaySpec) container(password string, labels map[string]string, declared []string) (*container.Config, *container.HostConfig) {
	command := []string{"postgres"}
	for _, setting := range s.Settings {
		command = append(command, "-c", setting)
	}
	pids, enabled := int64(1000), true
	host := &container.HostConfig{
		AutoRemove: true,
		Init:       &enabled, // adopts what a session leaves behind
		// What the entry point needs to make the data directory and to stop being root.
		CapDrop:     []string{"ALL"},
		CapAdd:      []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"},
		SecurityOpt: []string{"no-new-privileges"},
		ShmSize:     1 << 30, // parallel plans take theirs from /dev/shm
		Resources:   container.Resources{PidsLimit: &pids},
		LogConfig:   container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "1"}},
	}
	if s.Tmpfs > 0 {
		host.Tmpfs = map[string]string{throwawayDir: "rw,mode=0755,size=" + strconv.FormatInt(s.Tmpfs, 10)}
	} else {
		host.Mounts = []mount.Mount{{Type: mount.TypeVolume, Target: throwawayDir, VolumeOptions: &mount.VolumeOptions{Labels: labels}}}
	}
	for _, path := range declared {
		if path == throwawayDir {
			continue
		}
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeVolume, Target: path, VolumeOptions: &mount.VolumeOptions{Labels: labels}})
	}
	return &container.Config{
		Image: s.Image, Cmd: command, Labels: labels,
		Env: []string{"POSTGRES_USER=" + s.User, "POSTGRES_DB=postgres", "POSTGRES_PASSWORD=" + password,
			"POSTGRES_INITDB_ARGS=--no-sync", "PGDATA=" + throwawayDir + "/data"},
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
	}, host
}

// start starts the container, with somebody who ends it when this program ends, and somebody
// who listens to its log, which goes with it.
func (t *Throwaway) start(ctx context.Context) error {
	docker := t.engine.docker
	if err := docker.ContainerStart(ctx, t.ID, container.StartOptions{}); err != nil {
		return fmt.Errorf("start a container of %s: %w", t.Image, err)
	}
	logCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.stopLog, t.logEnded = cancel, make(chan struct{})
	logs, err := docker.ContainerLogs(logCtx, t.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		close(t.logEnded)
	} else {
		go func() {
			defer close(t.logEnded)
			defer logs.Close()
			_ = demux(t.log, t.log, logs) // the log serves messages alone
		}()
	}
	exec, err := docker.ContainerExecCreate(ctx, t.ID, container.ExecOptions{User: "0", Cmd: []string{"/bin/sh", "-c", lifeline}, AttachStdin: true})
	if err == nil {
		t.lifeline, err = docker.ContainerExecAttach(ctx, exec.ID, container.ExecAttachOptions{})
	}
	if err != nil {
		return t.died(ctx, fmt.Errorf("tie the throwaway server to this program: %w", err))
	}
	return nil
}

// await connects until the server answers. While it is being initialized a temporary one runs that
// does not listen on TCP.
func (t *Throwaway) await(ctx context.Context, user, password string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, throwawayWait, errors.New("the throwaway server did not start in time"))
	defer cancel()
	var last error
	for {
		info, err := t.engine.docker.ContainerInspect(ctx, t.ID)
		switch {
		case ctx.Err() != nil:
			return errors.Join(context.Cause(ctx), last)
		case errdefs.IsNotFound(err), err == nil && !info.State.Running:
			return t.died(ctx, errors.New("it stopped while it was starting"))
		case err != nil:
			return fmt.Errorf("inspect the throwaway server: %w", err)
		}
		if last = t.connect(ctx, info, user, password); last == nil {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return errors.Join(context.Cause(ctx), last, t.logLines())
		}
	}
}

func (t *Throwaway) connect(ctx context.Context, info container.InspectResponse, user, password string) error {
	for _, settings := range info.NetworkSettings.Networks {
		if settings == nil || settings.IPAddress == "" {
			continue
		}
		config, err := parseConfig(settings.IPAddress, 5432, user, "postgres")
		if err != nil {
			return err
		}
		config.Password, config.Fallbacks, config.TLSConfig = password, nil, nil
		attempt := config.Copy()
		attempt.ConnectTimeout = 2 * time.Second
		conn, err := pgx.ConnectConfig(ctx, attempt)
		if err != nil {
			return fmt.Errorf("connect to the throwaway server at %s: %s", settings.IPAddress, reason(err))
		}
		session.HangUp(ctx, conn)
		t.config = config
		return nil
	}
	return errors.New("the throwaway server has no address yet")
}

// ConnConfig returns how a database of the server is connected to, as its superuser.
func (t *Throwaway) ConnConfig(database string) *pgx.ConnConfig {
	config := t.config.Copy()
	config.Database = database
	return config
}

// FreeDisk answers how many bytes are free for the server's data.
func (t *Throwaway) FreeDisk(ctx context.Context) (int64, error) {
	return t.engine.FreeDisk(ctx, &Server{ID: t.ID, Name: t.ID[:12], DataDir: throwawayDir})
}

// Alive returns nil if the server's container runs, and else how it ended, with the end of its log.
func (t *Throwaway) Alive(ctx context.Context) error {
	info, err := t.engine.docker.ContainerInspect(ctx, t.ID)
	switch {
	case errdefs.IsNotFound(err):
		return t.died(ctx, errors.New("its container is gone"))
	case err != nil:
		return fmt.Errorf("inspect the throwaway server: %w", err)
	case info.State.OOMKilled:
		return t.died(ctx, errors.New("it ran out of memory and was killed"))
	case !info.State.Running:
		return t.died(ctx, fmt.Errorf("its container stopped with exit status %d", info.State.ExitCode))
	}
	return nil
}

// died adds the end of the log to what is known of a server's end.
func (t *Throwaway) died(ctx context.Context, err error) error {
	if t.logEnded != nil {
		select { // what it wrote last may still be on its way
		case <-t.logEnded:
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
	}
	return errors.Join(fmt.Errorf("the throwaway server of %s: %w", t.Image, err), t.logLines())
}

// logLines are the last lines of the server's log, as an error.
func (t *Throwaway) logLines() error {
	lines := strings.Split(strings.TrimSpace(t.log.String()), "\n")
	if len(lines) > 5 {
		lines = lines[len(lines)-5:]
	}
	if text := strings.Join(lines, "\n"); text != "" {
		return errors.New("its log ends: " + text)
	}
	return nil
}

// keptPrefix begins the names of the containers that Keep has let live. Labels say the same for ever.
const keptPrefix = "pgberth-drill-kept-"

// Keep lets the server live on after this program, and says how to look in and how to remove it. Reap leaves
// it, with its volume and its network.
func (t *Throwaway) Keep(ctx context.Context) (look, remove string, err error) {
	name := keptPrefix + strings.ToLower(rand.Text()[:12])
	if err := t.engine.docker.ContainerRename(ctx, t.ID, name); err != nil {
		return "", "", fmt.Errorf("let the throwaway server live: %w", err)
	}
	if _, err := io.WriteString(t.lifeline.Conn, "keep\n"); err != nil {
		return "", "", fmt.Errorf("let the throwaway server live: %w", err)
	}
	t.stopLog()
	<-t.logEnded
	return fmt.Sprintf("docker exec -it %s psql -U %s", name, t.config.User),
		fmt.Sprintf("docker rm -fv %s && docker network rm %.12s", name, t.network), nil
}

// Remove removes container, volumes and network, whether ctx is done or not. It may be called again.
func (t *Throwaway) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	var errs []error
	if t.ID != "" {
		errs = append(errs, t.engine.remove(ctx, t.ID))
	}
	if t.lifeline.Conn != nil {
		t.lifeline.Close()
	}
	if t.stopLog != nil {
		t.stopLog()
		<-t.logEnded
	}
	for _, name := range t.volumes { // which stay if somebody else has removed the container
		errs = append(errs, t.engine.removeVolume(ctx, name))
	}
	if t.network != "" {
		errs = append(errs, t.engine.removeNetwork(ctx, t.network))
	}
	return errors.Join(errs...)
}

// removeNetwork removes a network, from which a container may just be going.
func (e *Engine) removeNetwork(ctx context.Context, id string) error {
	for {
		err := e.docker.NetworkRemove(ctx, id)
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		if pauseErr := pause(ctx, 50*time.Millisecond); pauseErr != nil {
			return fmt.Errorf("remove network %.12s: %w; docker network rm %.12s", id, err, id)
		}
	}
}

// safeTail is a tail that several goroutines use.
type safeTail struct {
	mu sync.Mutex
	*tail
}

func (s *safeTail) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail.Write(p)
}

func (s *safeTail) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tail.String()
}
