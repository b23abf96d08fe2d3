package backup_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestS3 takes a database through a bucket by the program itself: two backups, a list, a check of every byte, a copy out of it, a policy,
// a restore. No secret is shown.
func TestS3(t *testing.T) {
	t.Parallel()
	s := pgtest.Host(t)
	store := pgtest.S3(t)
	db := sample(t, s)
	dir := filepath.Join(t.TempDir(), "copies")
	restored := pgtest.NewName("restored")
	run := func(want int, args ...string) string {
		t.Helper()
		cmd := pgtest.Pgberth(t, append(args, "--repo", "s3://"+store.Bucket+"/pg")...)
		cmd.Env = append(cmd.Env, store.Env()...)
		status, stdout, stderr := pgtest.Status(t, cmd)
		if status != want {
			t.Fatalf("%s: status %d, %s%s", args, status, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, pgtest.S3SecretKey) {
			t.Errorf("%s shows the secret", args)
		}
		return stdout + stderr
	}
	run(0, "list")
	for range 2 {
		run(0, "dump", "--from", s.URL(db), "--jobs", "4")
	}
	if list := run(0, "list"); strings.Count(list, db+"/2") != 2 {
		t.Errorf("list: %s", list)
	}
	run(0, "verify", "--read-data")
	run(0, "copy", "--to-repo", dir)
	run(0, "forget", "--keep-last", "1", "--prune")
	if list := run(0, "list"); strings.Count(list, db+"/2") != 1 {
		t.Errorf("list: %s", list)
	}
	run(0, "restore", db+"/latest", "--to", s.URL(restored))
	t.Cleanup(func() { s.DropDB(t, restored) })
	assertSame(t, s, db, restored)
	if status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, "verify", "--read-data", "--repo", dir)); status != 0 {
		t.Errorf("verify the copies: status %d, %s%s", status, stdout, stderr)
	}
	if out := run(10, "restore", "nothing/latest", "--to", s.URL(restored)); !strings.Contains(out, "no backups of that database") {
		t.Errorf("%s", out)
	}
}
