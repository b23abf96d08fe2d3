package hook

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	out, err := Run(t.Context(), []string{"sh", "-c", `echo "$PGBERTH_HOOK_JOB $0"; echo second >&2`, "a b; $x"}, []string{"PGBERTH_HOOK_JOB=shop"}, time.Minute)
	if err != nil || out != "shop a b; $x\nsecond" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestFails(t *testing.T) {
	out, err := Run(t.Context(), []string{"/bin/sh", "-c", "echo why; exit 7", "hunter2"}, nil, time.Minute)
	if err == nil || err.Error() != "hook sh: exit status 7" || out != "why" {
		t.Errorf("%q, %v", out, err)
	}
	_, err = Run(t.Context(), []string{"/no/such/program", "hunter2"}, nil, time.Minute)
	if !errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestLongOutput(t *testing.T) {
	out, err := Run(t.Context(), []string{"sh", "-c", "yes | head -c 100000; echo end"}, nil, time.Minute)
	if err != nil || len(out) > maxOutput || !strings.HasSuffix(out, "y\nend") {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}

// TestTimeout sees that the children of a command end with it.
func TestTimeout(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	for limit := 300 * time.Millisecond; ; limit *= 2 { // until the command has come so far
		_, err := Run(t.Context(), []string{"sh", "-c", `sleep 1000 & echo $! >"$0"; wait`, file}, nil, limit)
		if err == nil || err.Error() != "hook sh: still running after "+limit.String() {
			t.Fatal(err)
		}
		if text, _ := os.ReadFile(file); len(text) > 0 {
			break
		}
	}
	expectGone(t, file)
}

func TestCancel(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if text, _ := os.ReadFile(file); len(text) > 0 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	defer func() { cancel(); <-done }()
	_, err := Run(ctx, []string{"sh", "-c", `sleep 1000 & echo $! >"$0"; wait`, file}, nil, time.Minute)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	expectGone(t, file)
}

// expectGone waits for a process whose number is in a file to be gone, or to be nothing but an entry that nobody has read.
func expectGone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil && syscall.Kill(pid, 0) != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}
