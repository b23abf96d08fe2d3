package drill_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// A repository has one chain of reports, whatever directories they are written into as well.
func TestChainOfRepository(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db := host.CreateDB(t, "TEMPLATE template0")
	host.Exec(t, db, "CREATE TABLE t AS SELECT 1 AS id")
	repo, reports, pages := filepath.Join(t.TempDir(), "repo"), t.TempDir(), t.TempDir()
	pgberth := func(want int, args ...string) string {
		t.Helper()
		status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, args...))
		if status != want {
			t.Fatalf("%v: status %d, want %d\n%s%s", args, status, want, stdout, stderr)
		}
		return stdout
	}
	pgberth(0, "dump", "--from", host.Endpoint(db), "--repo", repo, "--quiet")
	pgtest.SharedContainer(t, 17) // skips where there can be none
	for _, directory := range [][]string{nil, {"--report", reports}, nil, {"--report", reports}} {
		// With an image of another version it is over soon, and has a report all the same.
		pgberth(22, append([]string{"drill", db + "/latest", "--repo", repo, "--server", "docker", "--image", pgtest.Image(17), "--quiet"}, directory...)...)
	}
	if out := pgberth(0, "report", "--repo", repo, "--output", pages); strings.Contains(out, "broken") || !strings.Contains(out, "4 drills") {
		t.Errorf("an untouched chain: %s", out)
	}
	for _, dir := range []string{pages, reports} {
		if index, err := os.ReadFile(filepath.Join(dir, "index.html")); err != nil || !bytes.Contains(index, []byte("all of these do")) {
			t.Errorf("the page in %s does not say that the chain is whole: %v", dir, err)
		}
	}
	found, err := filepath.Glob(filepath.Join(repo, "*", "*", "report.json"))
	if err != nil || len(found) != 4 {
		t.Fatalf("%q, %v", found, err)
	}
	slices.Sort(found)
	text, err := os.ReadFile(found[1])
	if err == nil {
		err = os.WriteFile(found[1], bytes.Replace(text, []byte("not run"), []byte("passed "), 1), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out := pgberth(20, "report", "--repo", repo, "--output", pages); !strings.Contains(out, "is not as it was published") || !strings.Contains(out, "was changed or removed") {
		t.Errorf("a report that was changed: %s", out)
	}
	if index, err := os.ReadFile(filepath.Join(pages, "index.html")); err != nil || !bytes.Contains(index, []byte("chain broken")) {
		t.Errorf("the page does not say that the chain is broken: %v", err)
	}
}
