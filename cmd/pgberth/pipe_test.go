package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestPipeReader(t *testing.T) {
	defer goleak.VerifyNone(t)
	r, w := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	p, err := newPipeReader(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString("some"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if n, err := p.Read(buf); err != nil || string(buf[:n]) != "some" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	read := make(chan error)
	go func() {
		_, err := p.Read(buf) // for which nothing comes
		read <- err
	}()
	cancel()
	if err := <-read; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestPipeReaderEnds(t *testing.T) {
	r, w := pipe(t)
	p, err := newPipeReader(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	go func() {
		_, _ = w.WriteString("all")
		w.Close()
	}()
	if got, err := io.ReadAll(p); err != nil || string(got) != "all" {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestInterruptedInput ends a restore that waits for the start of an archive.
func TestInterruptedInput(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, head := range []string{"", "PGDMP\x01"} {
		r, w := pipe(t)
		if _, err := w.WriteString(head); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var stdout, stderr bytes.Buffer
		done := make(chan int)
		go func() {
			done <- run(ctx, []string{"restore", "-", "--to", "postgres://127.0.0.1:1/db"}, r, &stdout, &stderr,
				func(string) (string, bool) { return "", false })
		}()
		cancel()
		if status := <-done; status != exitInterrupted || stderr.String() != "pgberth: interrupted\n" {
			t.Errorf("status %d: %s", status, &stderr)
		}
	}
}
