package containerpg

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
)

const (
	execTimeout = 15 * time.Second
	maxFile     = 64 << 10 // of files read from containers; all are tiny
)

// exec runs one short process in a container, waits for it, and answers what it
// wrote to its standard output.
//
// The process must not start others: the server is often PID 1 in its container,
// adopts what is left over there, and takes an adopted process that is killed
// for a crashed backend.
func (e *Engine) exec(ctx context.Context, id string, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, execTimeout)
	defer cancel()
	created, err := e.docker.ContainerExecCreate(ctx, id, container.ExecOptions{Cmd: argv, AttachStdout: true, AttachStderr: true})
	if err != nil {
		return nil, fmt.Errorf("execute %s in container: %w", argv[0], err)
	}
	stream, err := e.docker.ContainerExecAttach(ctx, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, fmt.Errorf("execute %s in container: %w", argv[0], err)
	}
	defer stream.Close()
	unblock := context.AfterFunc(ctx, stream.Close)
	defer unblock()

	stdout, stderr := &head{max: maxFile}, newTail(1<<10)
	if err := demux(stdout, stderr, stream.Reader); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("execute %s in container: %w", argv[0], err)
	}
	code, err := e.execStatus(ctx, created.ID)
	if err != nil {
		return nil, fmt.Errorf("execute %s in container: %w", argv[0], err)
	}
	if code != 0 {
		text := stderr.String()
		if code == 126 || code == 127 { // the engine's own words come as output
			text += string(stdout.buf)
		}
		return nil, fmt.Errorf("execute %s in container: exit status %d: %s", argv[0], code, strings.TrimSpace(text))
	}
	return stdout.buf, nil
}

// execStatus waits until a process whose output has ended is gone, and answers
// its exit status. The engine reports 0 for one that still runs.
func (e *Engine) execStatus(ctx context.Context, execID string) (int, error) {
	for {
		status, err := e.docker.ContainerExecInspect(ctx, execID)
		if err != nil {
			return 0, err
		}
		if !status.Running {
			return status.ExitCode, nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// readFile reads a small file of a container: by cat, or else through the
// engine, which needs no program inside but cannot see into a tmpfs.
func (e *Engine) readFile(ctx context.Context, id, path string) ([]byte, error) {
	data, execErr := e.exec(ctx, id, "cat", path)
	if execErr == nil {
		return data, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	data, copyErr := e.copyFile(ctx, id, path)
	if copyErr != nil {
		return nil, fmt.Errorf("read %s: %w; %w", path, execErr, copyErr)
	}
	return data, nil
}

func (e *Engine) copyFile(ctx context.Context, id, path string) (_ []byte, err error) {
	stream, _, err := e.docker.CopyFromContainer(ctx, id, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	archive := tar.NewReader(stream)
	header, err := archive.Next()
	if err != nil {
		return nil, err
	}
	if header.Typeflag != tar.TypeReg {
		return nil, errors.New("not a plain file")
	}
	if header.Size > maxFile {
		return nil, errTooLong
	}
	return io.ReadAll(archive)
}

// lastLines answers the end of what a container has logged; empty if there is no
// log to read.
func (e *Engine) lastLines(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	stream, err := e.docker.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "8"})
	if err != nil {
		return ""
	}
	text := newTail(2 << 10)
	err = errors.Join(demux(text, text, stream), stream.Close())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text.String())
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
