package containerpg

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
)

// stopSeconds is how long a server may take to write what it has in memory before it is
// killed, which would only make it recover at its start.
const stopSeconds = 600

// Restartable returns why the container of a server cannot be restarted; nil if it can.
func (s *Server) Restartable() error {
	for _, target := range s.volatile {
		if s.DataDir == "" || strings.HasPrefix(path.Clean(s.DataDir)+"/", path.Clean(target)+"/") {
			return fmt.Errorf("container %q keeps its data in memory, on a tmpfs at %s: a restart would lose them", s.Name, target)
		}
	}
	return nil
}

// Restart restarts the container of a server and answers where the server is then found. If it
// does not come up, repair may mend the text of its postgresql.auto.conf; it is then started
// once more, and the error says what was the matter.
func (e *Engine) Restart(ctx context.Context, s *Server, repair func(conf string) string) (*Server, error) {
	// An engine that was told to restart does so whether or not anybody waits.
	restart, cancel := context.WithTimeout(context.WithoutCancel(ctx), (stopSeconds+60)*time.Second)
	defer cancel()
	timeout := stopSeconds
	s.startedAt = "" // see Ended
	err := e.docker.ContainerRestart(restart, s.ID, container.StopOptions{Timeout: &timeout})
	var again *Server
	if err == nil {
		again, err = e.Reresolve(ctx, s)
	}
	if err == nil || ctx.Err() != nil || repair == nil {
		return again, err
	}
	err = fmt.Errorf("the server in container %q did not come up with changed settings: %w", s.Name, err)
	if mendErr := e.mend(restart, s, repair); mendErr != nil {
		return nil, errors.Join(err, fmt.Errorf("mend %s in container %q: %w", autoConf, s.Name, mendErr))
	}
	if _, againErr := e.Reresolve(ctx, s); againErr != nil {
		return nil, errors.Join(err, againErr)
	}
	return nil, fmt.Errorf("%w; the settings are as before, and the server runs again", err)
}

const autoConf = "postgresql.auto.conf"

// mend changes the settings file of a server that does not run, and starts it. The file keeps
// its owner and mode.
func (e *Engine) mend(ctx context.Context, s *Server, repair func(string) string) (err error) {
	if err := e.docker.ContainerStop(ctx, s.ID, container.StopOptions{}); err != nil {
		return err
	}
	stream, _, err := e.docker.CopyFromContainer(ctx, s.ID, path.Join(s.DataDir, autoConf))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	in := tar.NewReader(stream)
	header, err := in.Next()
	if err != nil {
		return err
	}
	conf, err := io.ReadAll(io.LimitReader(in, maxFile))
	if err != nil {
		return err
	}
	mended := repair(string(conf))
	header.Size = int64(len(mended))
	var packed bytes.Buffer
	out := tar.NewWriter(&packed)
	err = out.WriteHeader(header)
	if err == nil {
		_, err = io.WriteString(out, mended)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := e.docker.CopyToContainer(ctx, s.ID, s.DataDir, &packed, container.CopyToContainerOptions{CopyUIDGID: true}); err != nil {
		return err
	}
	return e.docker.ContainerStart(ctx, s.ID, container.StartOptions{})
}
