//go:build bench

package bench_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestDrill holds a drill of a backup, with all its checks, against nothing but the restore of the same backup into a
// running container of the same version. A drill starts its server besides, compares every object and hashes every row.
func TestDrill(t *testing.T) {
	f := setUp(t)
	major := f.src.Major
	settings := []string{"max_wal_size=4GB"} // as a drill's server has it
	target := pgtest.Container(t, major, pgtest.Volume(), pgtest.Settings(settings...))
	db := mixed(t, f.src, number(t, "PGBERTH_BENCH_SCALE", 60))
	repo := filepath.Join(f.dir, "repo")
	run(t, f.ours("dump", "--from", f.src.URL(db), "--repo", repo))
	backups, err := filepath.Glob(filepath.Join(repo, db, "*"))
	if err != nil || len(backups) != 1 {
		t.Fatalf("backups %v, %v", backups, err)
	}
	fmt.Printf("drill: %s, a backup of %d MB\n", size(t, f.src, db), folderSize(t, backups[0])/1e6)
	t.Cleanup(func() { target.DropDB(t, db) })
	pair(t, "drill, against restore",
		func(t *testing.T) effort {
			target.DropDB(t, db)
			target.Exec(t, "postgres", "CHECKPOINT")
			return run(t, f.ours("restore", db+"/latest", "--repo", repo, "--to", target.Endpoint(db)))
		},
		func(t *testing.T) effort {
			// The report it keeps would be one more file of the repository in every round; they are small.
			return run(t, exec.Command(f.binary, "drill", db+"/latest", "--repo", repo, "--server", "docker", "--image", pgtest.Image(major), "--quiet"))
		})
}
