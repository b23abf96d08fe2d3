// Package hook runs the commands that a user has put before and after a run: without a shell, with a time limit that holds
// for all their children, and with what they wrote kept for the message should they fail.
package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxOutput is how much of a command's output is kept: its end.
const maxOutput = 4096

// grace is how long a command has to end after SIGTERM.
const grace = 5 * time.Second

// Run runs a command with more variables in its environment and returns the end of what it wrote. Past timeout, or when ctx ends, the
// command and its children are ended. An error names the program, not its arguments, which may be secret.
func Run(ctx context.Context, argv, env []string, timeout time.Duration) (output string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("still running after %s", timeout))
	defer cancel()
	var kept tail
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &kept, &kept
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	err = cmd.Run()
	if cmd.Process != nil && ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what of its children has not heeded SIGTERM
	}
	name := filepath.Base(argv[0])
	var failed *exec.Error
	switch {
	case err == nil:
		return kept.String(), nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay):
		err = errors.New("it ended, but a child of it keeps its output open; let the child write elsewhere")
	case errors.As(err, &failed):
		err = failed.Err
	}
	return kept.String(), fmt.Errorf("hook %s: %w", name, err)
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if n := len(t.kept) - maxOutput; n > 0 {
		t.kept = append(t.kept[:0], t.kept[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(strings.ToValidUTF8(string(t.kept), "?"))
}
