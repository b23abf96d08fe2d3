package dump_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// wide tells whether the tests cover more versions than a developer waits for.
func wide() bool { return os.Getenv("PGBERTH_TEST_MATRIX") != "" }

func itoa(n int) string { return strconv.Itoa(n) }

func output(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, &stderr)
	}
	return stdout.String()
}

// dumped writes an archive with the program and returns its path.
func dumped(t testing.TB, s *pgtest.Server, db string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	output(t, pgtest.Pgberth(t, append([]string{"dump", "--from", s.Endpoint(db), "--file", path, "--quiet"}, args...)...))
	return path
}

// carried is the path of an archive as the clients of a server see it.
func carried(t testing.TB, s *pgtest.Server, path string) string {
	t.Helper()
	if s.Container == "" {
		return path
	}
	inside := "/tmp/" + pgtest.NewName("archive")
	output(t, exec.Command("docker", "cp", path, s.Container+":"+inside))
	t.Cleanup(func() { output(t, exec.Command("docker", "exec", s.Container, "rm", "-r", inside)) })
	return inside
}

// stockRestored restores an archive with stock pg_restore into a new database.
func stockRestored(t testing.TB, s *pgtest.Server, path string, args ...string) string {
	t.Helper()
	db := s.CreateDB(t, "TEMPLATE template0")
	output(t, s.Client(t, s.Major, db, "pg_restore", append(args, "--exit-on-error", "--dbname="+db, path)...))
	return db
}

// text is an archive as stock pg_restore prints it.
func text(t testing.TB, s *pgtest.Server, path string) string {
	t.Helper()
	return output(t, s.Client(t, s.Major, "", "pg_restore", "--restrict-key=k", "--create", "--file=-", path))
}
