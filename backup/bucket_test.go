package backup_test

import (
	"path/filepath"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// Encrypted backups go into a bucket, out of it and into another.
func TestEncryptedInBucket(t *testing.T) {
	store := pgtest.S3(t)
	t.Setenv("AWS_ACCESS_KEY_ID", pgtest.S3AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", pgtest.S3SecretKey)
	s := pgtest.Host(t)
	db := sample(t, s)
	recipient, key := newKey(t)
	bucket, dir, back := "s3://"+store.Bucket+"/pg", filepath.Join(t.TempDir(), "dir"), "s3://"+store.Bucket+"/back"
	endpoint := []string{"--s3-endpoint", store.Endpoint}
	run := func(args ...string) event {
		t.Helper()
		return last(pgberth(t, 0, append(args, endpoint...)...))
	}
	run("dump", "--from", s.URL(db), "--repo", bucket, "--encrypt-to", recipient, "--check", "data")
	assertSame(t, s, db, restored(t, s, "latest", bucket, append(endpoint, "--identity", key, "--jobs", "4")...))
	run("verify", "--repo", bucket, "--read-data", "--identity", key)
	run("copy", "--repo", bucket, "--to-repo", dir)
	pgberth(t, 0, "copy", "--repo", dir, "--to-repo", back, "--to-s3-endpoint", store.Endpoint)
	out := filepath.Join(t.TempDir(), "out")
	run("decrypt", "latest", "--repo", back, "--identity", key, "--file", out)
	pgberth(t, 0, "verify", out)
}
