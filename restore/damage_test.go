package restore_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/pgtest"
)

const (
	databases = `SELECT datname FROM pg_database ORDER BY 1`
	roles     = `SELECT rolname FROM pg_roles ORDER BY 1`
)

func isCorrupt(err error) bool {
	var corrupt *archive.CorruptError
	return errors.As(err, &corrupt)
}

// ours writes an archive with the program.
func ours(t testing.TB, s *pgtest.Server, db string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	output(t, pgtest.Pgberth(t, append([]string{"dump", "--from", s.URL(db), "--file", path, "--quiet"}, args...)...))
	return path
}

// Whatever is done to an archive of ours, verify finds it, and restore refuses before it touches the target.
func TestDamage(t *testing.T) {
	s := pgtest.Host(t)
	db := s.CreateDB(t, "TEMPLATE template0")
	owner := pgtest.NewName("owner")
	s.Exec(t, "postgres", "CREATE ROLE "+owner)
	s.Exec(t, db, `
CREATE TABLE a AS SELECT i, md5(i::text) FROM generate_series(1, 3000) i;
CREATE TABLE b AS SELECT i FROM generate_series(1, 10) i;
CREATE TABLE empty (x text);
SELECT lo_from_bytea(0, 'content'), lo_from_bytea(0, '');
ALTER TABLE a OWNER TO `+owner)
	var archives []string
	for _, args := range [][]string{{"--compress=zstd", "--pg-restore=17"}, {"--compress=gzip"}, {"--compress=none"}} {
		archives = append(archives, ours(t, s, db, args...))
	}
	s.DropDB(t, db)
	s.Exec(t, "postgres", "DROP ROLE "+owner)
	beforeDBs, beforeRoles := s.Rows(t, "postgres", databases), s.Rows(t, "postgres", roles)

	const seed = 20261122
	rounds := 20
	if pgtest.Soak() {
		rounds = 334
	}
	t.Logf("seed %d, %d rounds for each of %d archives", seed, rounds, len(archives))
	random := rand.New(rand.NewPCG(seed, 3))
	for _, path := range archives {
		for range rounds {
			what, undo := damage(t, random, path)
			for _, args := range [][]string{
				{"verify", path}, {"restore", path, "--to", s.URL(db)},
			} {
				status, _, stderr := pgtest.Status(t, pgtest.Pgberth(t, append(args, "--quiet")...))
				if status != 20 || !strings.HasPrefix(stderr, "pgberth: ") {
					t.Errorf("%s: %s ends with %d: %s", what, args[0], status, stderr)
				}
			}
			if got := s.Rows(t, "postgres", databases); !slices.Equal(got, beforeDBs) {
				t.Fatalf("%s: databases %v, before %v", what, got, beforeDBs)
			}
			undo()
		}
		if got := s.Rows(t, "postgres", roles); !slices.Equal(got, beforeRoles) {
			t.Fatalf("roles %v, before %v", got, beforeRoles)
		}
	}
	// What was mended is whole again.
	for _, path := range archives {
		output(t, pgtest.Pgberth(t, "verify", path))
		output(t, pgtest.Pgberth(t, "restore", path, "--to", s.URL(db)))
		if got := s.Row(t, db, "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)"); got != "3000|10" {
			t.Errorf("restored: %s", got)
		}
		s.DropDB(t, db)
	}
	s.Exec(t, "postgres", "DROP ROLE "+owner)
}

// damage changes a directory archive at random, and returns what it did and how to undo it.
func damage(t testing.TB, random *rand.Rand, dir string) (what string, undo func()) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	pick := func() string { return filepath.Join(dir, found[random.IntN(len(found))].Name()) }
	read := func(name string) []byte {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := pick()
	before := read(name)
	after := bytes.Clone(before)
	switch kind := random.IntN(6); {
	case kind == 0:
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		return "deletion of " + name, func() { write(name, before) }
	case kind == 1 || len(before) == 0:
		write(name, append(after, byte(random.IntN(256))))
		return "extension of " + name, func() { write(name, before) }
	case kind == 2:
		write(name, after[:random.IntN(len(after))])
		return "truncation of " + name, func() { write(name, before) }
	case kind == 3:
		other := pick()
		if otherBefore := read(other); !bytes.Equal(otherBefore, before) {
			write(name, otherBefore)
			write(other, before)
			return "swap of " + name + " and " + other, func() { write(name, before); write(other, otherBefore) }
		}
	case kind == 4:
		if err := os.WriteFile(filepath.Join(dir, "more.dat"), before, 0o600); err != nil {
			t.Fatal(err)
		}
		return "one more file", func() { os.Remove(filepath.Join(dir, "more.dat")) }
	}
	i := random.IntN(len(after))
	after[i] ^= 1 << random.IntN(8)
	write(name, after)
	return "flip at " + itoa(i) + " of " + name, func() { write(name, before) }
}
