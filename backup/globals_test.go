package backup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// globals is what pg_dumpall says of roles and tablespaces, without the places of the latter.
func globals(t testing.TB, s *pgtest.Server, dir string) string {
	t.Helper()
	status, stdout, stderr := pgtest.Status(t, s.Client(t, s.Major, "postgres", "pg_dumpall", "--globals-only", "--restrict-key=k"))
	if status != 0 {
		t.Fatal(stderr)
	}
	return strings.ReplaceAll(stdout, dir, "DIR")
}

// directory is one that a server may keep a tablespace in.
func directory(t testing.TB, s *pgtest.Server) string {
	t.Helper()
	info, err := os.Stat(s.Row(t, "postgres", "SHOW data_directory"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pgberth-test-tablespace-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What a server has besides its databases comes to another as pg_dumpall would bring it, and a second time does no harm.
func TestGlobals(t *testing.T) {
	t.Parallel()
	s, other := pgtest.NewHost(t), pgtest.NewHost(t)
	here, there := directory(t, s), directory(t, other)
	for _, sql := range []string{
		`CREATE ROLE keeper LOGIN CREATEDB REPLICATION CONNECTION LIMIT 5 PASSWORD 'kingfisher' VALID UNTIL '2099-01-02'`,
		`CREATE ROLE "O'Dd ""role"" \x" NOLOGIN NOINHERIT BYPASSRLS`,
		`COMMENT ON ROLE keeper IS 'it''s :a \gexec comment'`,
		`ALTER ROLE keeper SET search_path = "$user", public`,
		`ALTER ROLE keeper SET work_mem = '8MB'`,
		`GRANT "O'Dd ""role"" \x" TO keeper WITH ADMIN OPTION`,
		`GRANT pg_monitor TO keeper`,
		`GRANT SET ON PARAMETER log_min_messages TO keeper WITH GRANT OPTION`,
		`CREATE TABLESPACE "fast ""disk""" OWNER keeper LOCATION '` + here + `'`,
		`ALTER TABLESPACE "fast ""disk""" SET (random_page_cost = 1.1)`,
		`GRANT CREATE ON TABLESPACE "fast ""disk""" TO "O'Dd ""role"" \x"`,
		`COMMENT ON TABLESPACE "fast ""disk""" IS 'it is'`,
	} {
		s.Exec(t, "postgres", sql)
	}
	repo := filepath.Join(t.TempDir(), "repo")
	recipient, key := newKey(t)
	made := last(pgberth(t, 0, "dump", "--from", s.URL("postgres"), "--repo", repo, "--globals", "--encrypt-to", recipient))
	if made.Database != "@globals" {
		t.Errorf("%+v", made)
	}
	pgberth(t, 0, "verify", "@globals/latest", "--repo", repo, "--read-data", "--identity", key)
	pgberth(t, 0, "show", "@globals/latest", "--repo", repo)
	pgberth(t, 64, "restore", "@globals/latest", "--repo", repo, "--to", other.URL("x"), "--identity", key)
	out := filepath.Join(t.TempDir(), "globals")
	pgberth(t, 0, "decrypt", "@globals/latest", "--repo", repo, "--identity", key, "--file", out)
	text, err := os.ReadFile(filepath.Join(out, "globals.sql"))
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "globals.sql")
	if err := os.WriteFile(script, []byte(strings.ReplaceAll(string(text), here, there)), 0o600); err != nil {
		t.Fatal(err)
	}
	want := globals(t, s, here)
	for range 2 {
		other.Psql(t, "postgres", script)
		other.Password = s.Password // it came along
		if diff := cmp.Diff(want, globals(t, other, there)); diff != "" {
			t.Error(diff)
		}
	}

	// Whoever may not read the hashes gets the rest, and is told.
	role := "watcher"
	s.Exec(t, "postgres", fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'heron'`, role))
	made = last(pgberth(t, 3, "dump", "--from", s.URLAs(role, "heron", "postgres"), "--repo", repo, "--globals"))
	if len(made.Warnings) != 1 || !strings.Contains(made.Warnings[0].Text, "keeper, postgres, watcher") {
		t.Errorf("%+v", made)
	}
	sql := files(t, filepath.Join(repo, "@globals", made.ID))["globals.sql"]
	if !strings.Contains(sql, "-- WITHOUT PASSWORDS: ") || strings.Contains(sql, "SCRAM") || !strings.Contains(sql, `CREATE ROLE "keeper"`) {
		t.Errorf("%.2000s", sql)
	}
}
