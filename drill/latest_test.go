package drill_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// The latest of a repository is that of every database in it, and the role of the application need not be in each. One that
// is drilled alone must have it.
func TestLatestOfEvery(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db, _, reader := newShop(t, host)
	other := host.CreateDB(t, "TEMPLATE template0")
	host.Exec(t, other, "CREATE TABLE t AS SELECT 1 AS id")
	repo := filepath.Join(t.TempDir(), "repo")
	pgberth := func(want int, args ...string) string {
		t.Helper()
		status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, append(args, "--repo", repo)...))
		if status != want {
			t.Fatalf("%v: status %d, want %d\n%s%s", args, status, want, stdout, stderr)
		}
		return stdout
	}
	for _, name := range []string{db, other} {
		pgberth(0, "dump", "--from", host.Endpoint(name), "--quiet")
	}
	drill := []string{"--server", "local", "--quiet", "--smoke-as", reader}
	out := pgberth(0, append([]string{"drill", "latest"}, drill...)...)
	if strings.Count(out, "passed  ") != 2 || !strings.Contains(out, " "+db+"/") || !strings.Contains(out, " "+other+"/") {
		t.Error(out)
	}
	if out := pgberth(21, append([]string{"drill", other + "/latest"}, drill...)...); !strings.Contains(out, "smoke: role") {
		t.Error(out)
	}
}
