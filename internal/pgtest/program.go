package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// program provides the program for all tests of a package, in a folder of its own. It is built in bin/test, where
// the next package finds it up to date.
var program = sync.OnceValues(func() (dir string, err error) {
	dir, err = os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return "", err
	}
	programDir = dir
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	built := filepath.Join(root, "bin", "test")
	if err := os.MkdirAll(built, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(filepath.Join(built, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", filepath.Join(built, "pgberth"), "./cmd/pgberth")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, tail(out))
	}
	// Another build, of changed code, may replace it. This process must not have it open for writing, and start children.
	if err := os.Link(filepath.Join(built, "pgberth"), filepath.Join(dir, "pgberth")); err != nil {
		if out, err := exec.Command("cp", filepath.Join(built, "pgberth"), dir).CombinedOutput(); err != nil {
			return "", fmt.Errorf("copy the program: %w\n%s", err, tail(out))
		}
	}
	return dir, nil
})

// lockFile waits for its turn.
func lockFile(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// programDir is removed when the tests are over.
var programDir string

func removeProgram() error {
	if programDir == "" {
		return nil
	}
	return os.RemoveAll(programDir)
}

// Pgberth returns a run of the program under test, which knows no server and no folder of the caller.
func Pgberth(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := program()
	if err != nil {
		t.Fatalf("pgtest: build the program: %v", err)
	}
	cmd := exec.Command(filepath.Join(dir, "pgberth"), args...)
	cmd.Env = slices.DeleteFunc(cleanEnv(), func(v string) bool { return strings.HasPrefix(v, "DATABASE_URL=") })
	cmd.Env = append(cmd.Env, "HOME="+t.TempDir())
	return cmd
}

// Status runs a command and returns its exit status, or -1 if a signal ended it, and what it wrote.
func Status(t testing.TB, cmd *exec.Cmd) (status int, stdout, stderr string) {
	t.Helper()
	var out, err strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &err
	runErr := cmd.Run()
	var exit *exec.ExitError
	if runErr != nil && !errors.As(runErr, &exit) {
		t.Fatalf("pgtest: %v", runErr)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}
