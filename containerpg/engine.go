// Package containerpg finds the Postgres servers that run in containers, learns
// their credentials from the containers themselves, takes the shortest wire to
// them, and runs clients beside them. It is the only package that imports the
// docker client.
//
// Nothing is ever left running inside somebody else's container: a server that
// is PID 1 there adopts orphans, and restarts itself when one of them dies. So
// only single short processes are executed in a server's container, and each is
// waited for; anything longer runs in a container of its own, see [Engine.Run].
package containerpg

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"

	"github.com/pgberth/pgberth/progress"
)

// docker is what this package asks of a docker engine.
type docker interface {
	Ping(ctx context.Context) (types.Ping, error)
	Info(ctx context.Context) (system.Info, error)
	ContainerList(ctx context.Context, options container.ListOptions) ([]container.Summary, error)
	ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error)
	ContainerTop(ctx context.Context, id string, args []string) (container.TopResponse, error)
	ContainerLogs(ctx context.Context, id string, options container.LogsOptions) (io.ReadCloser, error)
	CopyFromContainer(ctx context.Context, id, path string) (io.ReadCloser, container.PathStat, error)

	ContainerExecCreate(ctx context.Context, id string, options container.ExecOptions) (container.ExecCreateResponse, error)
	ContainerExecAttach(ctx context.Context, execID string, options container.ExecAttachOptions) (types.HijackedResponse, error)
	ContainerExecInspect(ctx context.Context, execID string) (container.ExecInspect, error)

	CreateContainer(ctx context.Context, name string, config *container.Config, host *container.HostConfig) (id string, err error)
	ContainerAttach(ctx context.Context, id string, options container.AttachOptions) (types.HijackedResponse, error)
	ContainerWait(ctx context.Context, id string, condition container.WaitCondition) (<-chan container.WaitResponse, <-chan error)
	ContainerStart(ctx context.Context, id string, options container.StartOptions) error
	ContainerStop(ctx context.Context, id string, options container.StopOptions) error
	ContainerRestart(ctx context.Context, id string, options container.StopOptions) error
	CopyToContainer(ctx context.Context, id, path string, content io.Reader, options container.CopyToContainerOptions) error
	ContainerRename(ctx context.Context, id, name string) error
	ContainerRemove(ctx context.Context, id string, options container.RemoveOptions) error

	NetworkCreate(ctx context.Context, name string, options network.CreateOptions) (network.CreateResponse, error)
	NetworkList(ctx context.Context, options network.ListOptions) ([]network.Summary, error)
	NetworkRemove(ctx context.Context, id string) error
	VolumeList(ctx context.Context, options volume.ListOptions) (volume.ListResponse, error)
	VolumeRemove(ctx context.Context, name string, force bool) error
	ImageList(ctx context.Context, options image.ListOptions) ([]image.Summary, error)
	ImageInspect(ctx context.Context, name string, options ...client.ImageInspectOption) (image.InspectResponse, error)
	ImagePull(ctx context.Context, name string, options image.PullOptions) (io.ReadCloser, error)

	Dialer() func(context.Context) (net.Conn, error)
	Close() error
}

var _ docker = apiClient{}

// apiClient is docker's own client, with one call made narrower.
type apiClient struct{ *client.Client }

func (c apiClient) CreateContainer(ctx context.Context, name string, config *container.Config, host *container.HostConfig) (string, error) {
	created, err := c.ContainerCreate(ctx, config, host, nil, nil, name)
	if err != nil && strings.Contains(err.Error(), "container-init binary not found") { // Podman, of which it is a part of its own
		err = fmt.Errorf("%w; install catatonit on the engine's machine", err)
	}
	return created.ID, err
}

// An Engine is a connection to a docker engine, made by [Open]. Its methods may
// be called concurrently.
type Engine struct {
	// Reporter, if set before the first call, hears of choices and waits.
	Reporter progress.Reporter
	// Via, if set before the first call, is the only way taken to a server.
	Via Via
	// Measure, if set before the first call, has the wire to a container on another machine
	// looked at, for [Engine.Wire], while its server is being reached.
	Measure bool

	docker docker
	host   string     // such as unix:///var/run/docker.sock
	shown  string     // the same for messages
	source string     // who named the host, such as DOCKER_HOST
	ssh    *sshDialer // of an engine by ssh; else nil

	probes *probes
}

// startWait bounds how long a starting server is waited for when the context
// has no deadline of its own.
const startWait = 60 * time.Second

// Open finds a docker engine and agrees on an API version with it. The engine is
// the one that opts name, the one named by DOCKER_HOST, by the docker context in
// DOCKER_CONTEXT or in docker's config.json, or else the first well-known socket
// that answers. If none answers, the error is an [*EngineError] that lists what
// was tried.
func Open(ctx context.Context, opts Options) (*Engine, error) {
	found, err := endpoints(opts)
	if err != nil {
		return nil, err
	}
	failed := &EngineError{Skipped: found.skipped}
	for _, ep := range found.list {
		cli, ssh, err := ep.connect(ctx)
		if err == nil {
			return &Engine{docker: apiClient{cli}, host: ep.host, shown: shownHost(ep.host), source: ep.source, ssh: ssh, probes: newProbes()}, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		failed.Tried = append(failed.Tried, EndpointAttempt{Host: shownHost(ep.host), Source: ep.source, Err: err})
	}
	return nil, failed
}

// Close releases the engine's connections.
func (e *Engine) Close() error {
	e.probes.close()
	err := e.docker.Close()
	e.ssh.close()
	return err
}

// Lost answers how a connection to the engine's machine has ended that was open, as an [*SSHError]; nil if none has.
func (e *Engine) Lost() error {
	if e.ssh == nil {
		return nil
	}
	if lost := e.ssh.lost.Load(); lost != nil {
		return lost
	}
	return nil
}

// String names the engine and who chose it, for messages.
func (e *Engine) String() string { return e.shown + " (" + e.source + ")" }

// shownHost is a host without the password that somebody may have put there.
func shownHost(host string) string {
	if !strings.Contains(host, "@") {
		return host
	}
	if u, err := url.Parse(host); err == nil && u.User != nil && u.Host != "" {
		return u.Redacted()
	}
	scheme, _, _ := strings.Cut(host, "://")
	return scheme + "://..."
}

func (e *Engine) notice(text string) {
	if e.Reporter != nil {
		e.Reporter.Report(progress.Notice{Text: text})
	}
}
