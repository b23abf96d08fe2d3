package drill_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// What a backup lacks is found where its manifest and its files agree with each other, too.
func TestLostParts(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db, _, reader := newShop(t, host)
	for _, lost := range []struct {
		name, want string
		lose       func(dir string, m *archive.Manifest) error
	}{
		{"a large object", "large objects: the archive holds 3 large objects, and 4 were dumped", func(_ string, m *archive.Manifest) error {
			m.Totals.LargeObjects++
			return nil
		}},
		{"a role", "roles: role " + reader + " is missing", func(_ string, m *archive.Manifest) error {
			m.Roles = slices.DeleteFunc(m.Roles, func(r archive.ManifestRole) bool { return r.Name == reader })
			return nil
		}},
		{"half a file", "restore: ", func(dir string, m *archive.Manifest) error {
			i := slices.IndexFunc(m.Files, func(f archive.ManifestFile) bool { return strings.Contains(f.Name, ".dat.") && f.Size > 5000 })
			f := &m.Files[i]
			data, err := os.ReadFile(filepath.Join(dir, f.Name))
			if err != nil {
				return err
			}
			data = data[:len(data)/2]
			sum := sha256.Sum256(data)
			f.Size, f.SHA256 = int64(len(data)), hex.EncodeToString(sum[:])
			return os.WriteFile(filepath.Join(dir, f.Name), data, 0o600)
		}},
	} {
		t.Run(lost.name, func(t *testing.T) {
			dir := dumped(t, host, db)
			path := filepath.Join(dir, archive.ManifestName)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			m, err := archive.DecodeManifest(bytes.NewReader(data))
			if err == nil {
				err = lost.lose(dir, m)
			}
			if err == nil {
				data, err = m.Encode()
			}
			if err == nil {
				err = os.WriteFile(path, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if r := run(t, options(dir)); r.Verdict != drill.Rejected || !strings.Contains(failures(r), lost.want) {
				t.Errorf("%s %s\n%s", r.Verdict, r.Reason, failures(r))
			}
		})
	}
}

// A database that makes every session another role is looked at as it is.
func TestRoleSetting(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db, _, reader := newShop(t, host)
	host.Exec(t, db, "ALTER DATABASE "+db+" SET role = "+reader)
	path := filepath.Join(t.TempDir(), "archive")
	cmd := pgtest.Pgberth(t, "dump", "--from", host.Endpoint(db), "--file", path, "--quiet")
	cmd.Env = append(cmd.Environ(), "PGOPTIONS=-c role=none")
	if status, _, stderr := pgtest.Status(t, cmd); status != 0 {
		t.Fatalf("dump: status %d\n%s", status, stderr)
	}
	if r := run(t, options(path)); r.Verdict != drill.Passed {
		t.Errorf("%s %s\n%s", r.Verdict, r.Reason, failures(r))
	}
}
