package pgtools_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtools"
)

// fake is a pg_dump that runs a script.
func fake(t *testing.T, script string) pgtools.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pg_dump")
	text := "#!/bin/sh\nif [ \"$1\" = --version ]; then echo 'pg_dump (PostgreSQL) 17.6'; exit; fi\n" + script
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	clients, err := pgtools.FindHost(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return clients[0]
}

// What pg_dump wrote last waits in its pipe until the rows have moved, long
// after it has ended.
func TestDumpWaitsForItsReader(t *testing.T) {
	t.Cleanup(pgtools.SetEndDelay(50 * time.Millisecond))
	client := fake(t, "echo archive")
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := client.Dump(t.Context(), pgtools.Request{Stdout: pw})
		_ = pw.CloseWithError(err)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("Dump returned with its output unread: %v", err)
	case <-time.After(time.Second): // longer than a client is given to end
	}
	out, err := io.ReadAll(pr)
	if err != nil || string(out) != "archive\n" {
		t.Errorf("output %q, %v", out, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDumpIsInterrupted(t *testing.T) {
	client := fake(t, "trap 'echo interrupted >&2; exit 1' INT\necho ready\nwhile :; do sleep 0.05; done")
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	ready := writerFunc(func(p []byte) (int, error) { cancel(enough); return len(p), nil })
	if err := client.Dump(ctx, pgtools.Request{Stdout: ready}); !errors.Is(err, enough) {
		t.Errorf("Dump: %v, want the cause", err)
	}
}

func TestDumpReportsWhatTheClientSaid(t *testing.T) {
	client := fake(t, "echo 'pg_dump: error: no such table' >&2; exit 3")
	err := client.Dump(t.Context(), pgtools.Request{Stdout: io.Discard})
	var exit *pgtools.ExitError
	if !errors.As(err, &exit) || exit.Code != 3 || !strings.Contains(err.Error(), "no such table") {
		t.Errorf("Dump: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
