package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/restore"
)

// A piped is a custom archive that comes through a pipe.
type piped struct {
	io.Closer
	reader *archive.CustomReader
}

// newPiped reads the table of contents.
func newPiped(r io.Reader, closer io.Closer) (*piped, error) {
	buffered := bufio.NewReaderSize(r, archive.HeadSize)
	head, err := buffered.Peek(archive.HeadSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	kind, err := archive.DetectHead("-", head)
	switch {
	case err != nil:
		return nil, fmt.Errorf("standard input: %w", err)
	case kind != archive.KindCustom:
		return nil, fmt.Errorf("standard input is a %s archive, which cannot be read from a pipe; save it and give its path", kind)
	}
	reader, err := archive.NewCustomReader(buffered)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return &piped{closer, reader}, nil
}

func (p *piped) database() string { return p.reader.TOC().DatabaseName() }

func (p *piped) restore(ctx context.Context, options restore.ArchiveOptions) (*restore.Result, error) {
	return restore.FromPipe(ctx, p.reader, options)
}

// A pipeReader reads from a file that may never have more, and stops waiting
// for it when a context ends. It does not close the file.
type pipeReader struct {
	ctx     context.Context // whose end interrupts Read
	f       *os.File
	r, w    *os.File // a pipe whose end wakes Read
	forward func() bool
}

func newPipeReader(ctx context.Context, f *os.File) (*pipeReader, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	// Closing twice, here and in Close, does no harm.
	forward := context.AfterFunc(ctx, func() { _ = w.Close() })
	return &pipeReader{ctx, f, r, w, forward}, nil
}

func (p *pipeReader) Read(b []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(p.f.Fd()), Events: unix.POLLIN}, {Fd: int32(p.r.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case p.ctx.Err() != nil:
			return 0, context.Cause(p.ctx)
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for standard input: %w", err)
		case fds[0].Revents != 0:
			return p.f.Read(b)
		}
	}
}

func (p *pipeReader) Close() error {
	p.forward()
	_ = p.w.Close()
	return p.r.Close()
}
