package backup_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// What goes into a repository comes out of it, by pgberth and by the stock tools.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	s := pgtest.Host(t)
	db := sample(t, s)
	repo := filepath.Join(t.TempDir(), "repo")
	made := last(pgberth(t, 0, "dump", "--from", s.URL(db), "--repo", repo, "--tag", "nightly", "--tag", "first"))
	if made.Event != "result" || made.ID == "" || made.Database != db {
		t.Fatalf("%+v", made)
	}
	path := filepath.Join(repo, db, made.ID)
	pgtest.NewOracle(t, s, db, s, db).CheckContent(t, s, stockRestored(t, s, path))
	assertSame(t, s, db, restored(t, s, db+"/latest", repo))
	if e := last(pgberth(t, 0, "verify", made.ID[:len(made.ID)-1], "--repo", repo, "--read-data")); !e.Good || e.Rows == 0 || e.ID != made.ID {
		t.Errorf("%+v", e)
	}
	if e := last(pgberth(t, 0, "show", "latest", "--repo", repo)); e.Event != "archive" || e.Database != db {
		t.Errorf("%+v", e)
	}
	pgberth(t, 10, "restore", "29990101T000000Z-0000", "--repo", repo, "--to", s.URL(db))
	pgberth(t, 10, "verify", "--repo", repo+"-elsewhere")
}

// Nothing of an encrypted backup can be read without its key, and all of it with the key.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	s := pgtest.Host(t)
	db := sample(t, s)
	const canary = "kingfisher-7261"
	s.Exec(t, db, `CREATE TABLE perches (note text); INSERT INTO perches SELECT '`+canary+` ' || i FROM generate_series(1, 100) i; COMMENT ON TABLE perches IS '`+canary+`'`)
	repo := filepath.Join(t.TempDir(), "repo")
	recipient, key := newKey(t)
	spare, spareKey := newKey(t)
	recipients := filepath.Join(t.TempDir(), "recipients")
	if err := os.WriteFile(recipients, []byte("# who else\n"+spare+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, compress := range []string{"none", "gzip"} {
		made := last(pgberth(t, 0, "dump", "--from", s.URL(db), "--repo", repo, "--encrypt-to", recipient, "--encrypt-to-file", recipients,
			"--compress", compress, "--check", "data"))
		if len(made.Recipients) != 2 {
			t.Fatalf("%+v", made)
		}
	}
	words := append([]string{canary, "perches"}, s.Rows(t, db, `SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'i') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND length(relname) > 4
		UNION SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'`)...)
	if len(words) < 12 {
		t.Fatalf("too few words to look for: %q", words)
	}
	for name, data := range files(t, repo) {
		for _, word := range words {
			if strings.Contains(data, word) && word != db {
				t.Errorf("%s says %q", name, word)
			}
		}
	}
	for _, key := range []string{key, spareKey} {
		assertSame(t, s, db, restored(t, s, "latest", repo, "--identity", key))
	}
	out := filepath.Join(t.TempDir(), "stock")
	pgberth(t, 0, "decrypt", "latest", "--repo", repo, "--identity", key, "--file", out)
	pgberth(t, 0, "verify", out)
	pgtest.NewOracle(t, s, db, s, db).CheckContent(t, s, stockRestored(t, s, out))

	pgberth(t, 0, "verify", "--repo", repo)
	pgberth(t, 0, "show", "latest", "--repo", repo)
	pgberth(t, 0, "show", "latest", "--repo", repo, "--identity", key)
	pgberth(t, 0, "verify", "--repo", repo, "--read-data", "--identity", key)
	_, wrong := newKey(t)
	elsewhere := pgtest.NewName("elsewhere")
	for _, args := range [][]string{
		{"restore", "latest", "--repo", repo, "--to", s.URL(elsewhere)},
		{"restore", "latest", "--repo", repo, "--to", s.URL(elsewhere), "--identity", wrong},
		{"verify", "latest", "--repo", repo, "--read-data"},
		{"decrypt", "latest", "--repo", repo, "--identity", wrong, "--file", out + "2"},
		{"show", "latest", "--repo", repo, "--identity", wrong},
	} {
		if e := last(pgberth(t, 12, args...)); !strings.Contains(e.Message, recipient) || !strings.Contains(e.Message, spare) {
			t.Errorf("%v: %+v", args, e)
		}
	}
	if _, err := os.Stat(out + "2"); err == nil {
		t.Error("something was decrypted with another key")
	}
	if found := s.Rows(t, "postgres", `SELECT 1 FROM pg_database WHERE datname ~ '`+elsewhere+`'`); len(found) > 0 {
		t.Error("the target was touched")
	}
}

// Damage to any file of a backup is found, and neither restored nor copied.
func TestDamage(t *testing.T) {
	t.Parallel()
	s := pgtest.Host(t)
	db := sample(t, s)
	recipient, key := newKey(t)
	repo := filepath.Join(t.TempDir(), "repo")
	whole := last(pgberth(t, 0, "dump", "--from", s.URL(db), "--repo", repo))
	made := last(pgberth(t, 0, "dump", "--from", s.URL(db), "--repo", repo, "--encrypt-to", recipient))
	dir := filepath.Join(repo, db, made.ID)
	// Without its key the other cannot be verified. What was found before is told.
	events := pgberth(t, 12, "verify", "--repo", repo, "--read-data")
	if len(events) < 2 || events[len(events)-2].Event != "verified" || events[len(events)-2].ID != whole.ID || !events[len(events)-2].Good {
		t.Errorf("%+v", events)
	}
	names := files(t, dir)
	tried := 0
	for name, data := range names {
		if tried++; tried > 3 && !pgtest.Soak() {
			break
		}
		file := filepath.Join(dir, name)
		changed := []byte(data)
		changed[len(changed)/2] ^= 1
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if e := last(pgberth(t, 20, "verify", "--repo", repo)); e.File != name || !strings.Contains(e.Message, made.ID) {
			t.Errorf("%s: %+v", name, e)
		}
		e := last(pgberth(t, 20, "restore", made.ID, "--repo", repo, "--to", s.URL(db), "--identity", key))
		if want := db + "/" + whole.ID + ", the newest good backup"; !strings.Contains(e.Message, db+"/"+made.ID) || !slices.Contains(e.Remedies, want) {
			t.Errorf("%s: %+v, want %s", name, e, want)
		}
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	largest := ""
	for name, data := range names {
		if largest == "" || len(data) > len(names[largest]) {
			largest = name
		}
	}
	if err := os.WriteFile(filepath.Join(dir, largest), bytes.Repeat([]byte{7}, len(names[largest])), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	events = pgberth(t, 20, "copy", "--repo", repo, "--to-repo", to)
	if copied := events[len(events)-2]; len(copied.Copied) != 1 || copied.Copied[0] != db+"/"+whole.ID {
		t.Errorf("%+v", events)
	}
	if found, err := os.ReadDir(filepath.Join(to, db)); err != nil || len(found) != 1 {
		t.Errorf("left of the copy: %v, %v", found, err)
	}
}

// A copy has the same backups, and copying again does nothing.
func TestCopy(t *testing.T) {
	t.Parallel()
	s := pgtest.Host(t)
	db := sample(t, s)
	recipient, _ := newKey(t)
	repo, to := filepath.Join(t.TempDir(), "repo"), filepath.Join(t.TempDir(), "to")
	pgberth(t, 0, "dump", "--from", s.URL(db), "--repo", repo)
	pgberth(t, 0, "dump", "--from", s.URL(db), "--repo", repo, "--encrypt-to", recipient)
	pgberth(t, 0, "dump", "--from", s.URL(db), "--repo", repo, "--globals")
	if e := last(pgberth(t, 0, "copy", db+"/latest", "--repo", repo, "--to-repo", to)); len(e.Copied) != 1 {
		t.Errorf("%+v", e)
	}
	if e := last(pgberth(t, 0, "copy", "--repo", repo, "--to-repo", to)); len(e.Copied) != 2 || len(e.Present) != 1 {
		t.Errorf("%+v", e)
	}
	if e := last(pgberth(t, 0, "copy", "--repo", repo, "--to-repo", to)); len(e.Copied) != 0 || len(e.Present) != 3 {
		t.Errorf("%+v", e)
	}
	from, copied := files(t, repo), files(t, to)
	for name, data := range from {
		if !strings.HasPrefix(name, ".") && copied[name] != data {
			t.Errorf("%s was not copied as it is", name)
		}
	}
	if len(from) != len(copied) {
		t.Errorf("%d files were copied, of %d", len(copied), len(from))
	}
	pgberth(t, 0, "verify", "--repo", to)
}

// A database that has lost much since the last backup is backed up, with a warning.
func TestFall(t *testing.T) {
	t.Parallel()
	s := pgtest.Host(t)
	db := s.CreateDB(t)
	repo := filepath.Join(t.TempDir(), "repo")
	dump := func(status int, want string, args ...string) {
		t.Helper()
		e := last(pgberth(t, status, append([]string{"dump", "--from", s.URL(db), "--repo", repo}, args...)...))
		var texts []string
		for _, w := range e.Warnings {
			texts = append(texts, w.Text)
		}
		if got := strings.Join(texts, "; "); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("warnings %q, want %q", got, want)
		}
	}
	dump(3, "no tables")
	dump(0, "") // it was never anything else
	s.Exec(t, db, `CREATE TABLE t AS SELECT i, repeat('x', 100) AS note FROM generate_series(1, 1000) i`)
	dump(0, "")
	s.Exec(t, db, `DELETE FROM t WHERE i > 600`)
	dump(0, "")
	s.Exec(t, db, `DELETE FROM t WHERE i > 100`)
	dump(3, "rows fell from 600 to 100, by 83 %")
	s.Exec(t, db, `UPDATE t SET note = ''`)
	dump(0, "", "--max-fall", "0")
	s.Exec(t, db, `DROP TABLE t`)
	dump(3, "no tables")
	dump(3, "no tables") // though the backup before has none
	if e := pgberth(t, 0, "list", "--repo", repo); len(e) < 8 {
		t.Errorf("%+v", e)
	}
}
