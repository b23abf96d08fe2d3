package drill_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestMain gives the drills a folder for temporary ones of their own: short, for the paths of sockets, and open to the user
// that runs the servers.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pgd")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o777|os.ModeSticky), os.Setenv("TMPDIR", dir))
	}
	status := 1
	if err == nil {
		status = pgtest.Suite{M: m}.Run()
		err = errors.Join(leftBehind(), os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// leftBehind says what the drills of all tests, which run side by side, have left on the disk.
func leftBehind() error {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "pgberth-drill-*"))
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("drills have left %q", found)
	}
	return err
}

// dumped writes an archive with the program and returns its path.
func dumped(t testing.TB, s *pgtest.Server, db string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	cmd := pgtest.Pgberth(t, append([]string{"dump", "--from", s.Endpoint(db), "--file", path, "--quiet"}, args...)...)
	if status, _, stderr := pgtest.Status(t, cmd); status != 0 {
		t.Fatalf("dump: status %d\n%s", status, stderr)
	}
	return path
}

func options(path string) drill.Options {
	return drill.Options{Backup: drill.Backup{Name: path, Path: path}, Server: drill.Local, Tool: "pgberth test", Host: "here"}
}

// run drills and fails the test if something could not be removed.
func run(t testing.TB, o drill.Options) *drill.Report {
	t.Helper()
	r, err := drill.Run(t.Context(), o)
	if err != nil {
		t.Fatalf("drill: %v", err)
	}
	return r
}

// on runs SQL in the restored database.
func on(ctx context.Context, t testing.TB, d *drill.Drill, sql string) {
	t.Helper()
	conn, err := pgx.ConnectConfig(ctx, d.Throwaway().Endpoint(d.Database()).Config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// failures are the checks that failed, with their problems.
func failures(r *drill.Report) string {
	var b strings.Builder
	for _, c := range r.Checks {
		if c.Status == drill.Bad {
			b.WriteString(c.Name + ": " + strings.Join(c.Problems, "; ") + "\n")
		}
	}
	return b.String()
}
