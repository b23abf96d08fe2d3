package restore_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// wide tells whether the tests cover more versions than a developer waits for.
func wide() bool { return os.Getenv("PGBERTH_TEST_MATRIX") != "" }

// stockDump writes an archive with the pg_dump of a server's own version.
func stockDump(t testing.TB, s *pgtest.Server, db string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	if s.Container == "" {
		output(t, s.Client(t, s.Major, db, "pg_dump", append(args, "--file="+path)...))
		return path
	}
	inside := "/tmp/" + pgtest.NewName("archive")
	output(t, s.Client(t, s.Major, db, "pg_dump", append(args, "--file="+inside)...))
	output(t, exec.Command("docker", "cp", s.Container+":"+inside, path))
	output(t, exec.Command("docker", "exec", s.Container, "rm", "-r", inside))
	return path
}

func output(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, &stderr)
	}
	return stdout.String()
}

func endpoint(t testing.TB, url string) *conninfo.Endpoint {
	t.Helper()
	e, err := conninfo.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func open(t testing.TB, path string) archive.Archive {
	t.Helper()
	a, err := archive.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// newName is a database's name, which is dropped when the test ends.
func newName(t testing.TB, s *pgtest.Server) string {
	t.Helper()
	name := pgtest.NewName("restored")
	t.Cleanup(func() { s.DropDB(t, name) })
	return name
}

// options restore into a database of that name.
func options(t testing.TB, s *pgtest.Server, db string) restore.ArchiveOptions {
	t.Helper()
	return restore.ArchiveOptions{To: endpoint(t, s.URL(db)), Jobs: 3, Reporter: log{t}}
}

// restored restores an archive into a new database.
func restored(t testing.TB, s *pgtest.Server, path string) string {
	t.Helper()
	db := newName(t, s)
	if _, err := restore.FromArchive(t.Context(), open(t, path), options(t, s, db)); err != nil {
		t.Fatal(err)
	}
	return db
}

// log shows what needs attention.
type log struct{ t testing.TB }

func (l log) Report(e progress.Event) {
	if w, ok := e.(progress.Warning); ok {
		l.t.Logf("warning: %s: %s; %s", w.Object, w.Text, w.Remedy)
	}
}

func banker(t testing.TB, s *pgtest.Server) string { return pgtest.Banker(t, s, 1) }

func itoa(n int) string { return strconv.Itoa(n) }
