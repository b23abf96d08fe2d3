package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtools"
)

// clients returns every pg_dump that could be used: the host's, and those in
// the images of the servers. A path that was given is the only one.
func (r *resolver) clients(ctx context.Context, path string, from, to place) ([]pgtools.Client, error) {
	clients, err := pgtools.FindHost(ctx, path)
	if err != nil {
		if path != "" && ctx.Err() == nil {
			return nil, usage(r.cmd, fmt.Errorf("--pg-dump: %w", err))
		}
		return nil, err
	}
	if path == "" {
		for i, server := range []*containerpg.Server{to.server, from.server} {
			if server == nil || i > 0 && to.server != nil && to.server.Image == server.Image {
				continue
			}
			client := &imageClient{engine: r.engine, server: server, from: from}
			if why := client.cannot(); why != "" {
				r.detail(client.String() + " is of no use: " + why)
				continue
			}
			clients = append(clients, client)
		}
	}
	for _, c := range clients {
		r.detail("pg_dump to choose from: " + c.String())
	}
	return clients, nil
}

// An imageClient is the pg_dump in a server's image, run in a container of its
// own: one that shares the source's network, or else the network of the engine's
// machine. That an image holds a pg_dump of its server's version
// is taken for granted until it is used.
type imageClient struct {
	engine *containerpg.Engine
	server *containerpg.Server // whose image it is
	from   place               // what it is to dump
}

// cannot says why the client does not reach the source, if it does not.
func (c *imageClient) cannot() string {
	if c.from.server != nil {
		if _, _, ok := c.from.server.Inside(); !ok {
			return "the source listens on its socket only"
		}
	} else if c.engine.IsRemote() {
		return "the engine is on another machine than the source"
	}
	return ""
}

var _ pgtools.Client = (*imageClient)(nil)

func (c *imageClient) Version() int { return c.server.VersionNum }

func (c *imageClient) String() string {
	return fmt.Sprintf("pg_dump in image %s (%s)", c.server.Image, c.server.Version)
}

// Dump implements [pgtools.Client].
func (c *imageClient) Dump(ctx context.Context, req pgtools.Request) error {
	spec := containerpg.RunSpec{Image: c.server.Image, Env: []string{"LC_ALL=C"}, Stdout: req.Stdout}
	libpq := req.Conninfo
	if req.PassFile != "" {
		spec.Secrets = map[string]string{"PGPASSWORD": c.from.Config.Password}
	}
	if c.from.server != nil {
		libpq = c.inside()
		spec.Network = c.from.server.Network()
	} else if dir := c.from.SocketDir(); strings.HasPrefix(dir, "/") {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return fmt.Errorf("find the source's socket folder: %w", err)
		}
		spec.Binds = []containerpg.Bind{{Source: real, Target: dir}}
		// Peer authentication asks who is at the other end of the socket.
		spec.User = fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
		if req.Peer != nil {
			spec.User = fmt.Sprintf("%d:%d", req.Peer.UID, req.Peer.GID)
		}
	}
	spec.Cmd = containerpg.ClientCommand(pgtools.Major(c.server.VersionNum), append([]string{"--dbname=" + libpq, "--no-password"}, req.Args...)...)
	err := c.engine.Run(ctx, spec)
	var exit *containerpg.ExitError
	if errors.As(err, &exit) {
		return &pgtools.ExitError{Client: c.String(), Code: exit.Code, Stderr: strings.TrimSpace(exit.Stderr)}
	}
	return err
}

// inside is how the source is reached from its own network.
func (c *imageClient) inside() string {
	source := *c.from.Endpoint
	host, port, _ := c.from.server.Inside()
	source.Client = &conninfo.ClientAddress{Host: host, Port: port}
	return source.Libpq()
}
