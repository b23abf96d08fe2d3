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
	"testing"
)

// program builds the program once for all tests of a package, into a folder of its own.
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
	build := exec.Command("go", "build", "-o", dir, "./cmd/pgberth")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, tail(out))
	}
	return dir, nil
})

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
