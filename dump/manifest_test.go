package dump_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// canary is a password, which no archive may hold.
const canary = "canary-5d1c"

// withRole makes a database that belongs to a role with a password, and a role it is a member of.
func withRole(t testing.TB, s *pgtest.Server) (db, role, parent, hash string) {
	t.Helper()
	role, parent = pgtest.NewName("owner"), pgtest.NewName("parent")
	s.Exec(t, "postgres", "CREATE ROLE "+parent+" NOLOGIN; CREATE ROLE "+role+" LOGIN CREATEDB CONNECTION LIMIT 7 PASSWORD '"+canary+"' IN ROLE "+parent+
		"; ALTER ROLE "+role+" SET work_mem = '7MB'")
	hash = s.Row(t, "postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = '"+role+"'")
	db = s.CreateDB(t)
	s.Exec(t, db, "ALTER DATABASE "+db+" OWNER TO "+role+"; ALTER DATABASE "+db+" SET statement_timeout = '7min';"+
		"ALTER ROLE "+role+" IN DATABASE "+db+" SET lock_timeout = '7s';"+
		"CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 3); ALTER TABLE t OWNER TO "+role)
	t.Cleanup(func() {
		s.DropDB(t, db)
		s.Exec(t, "postgres", "DROP ROLE IF EXISTS "+role+", "+parent)
	})
	return db, role, parent, hash
}

func TestManifest(t *testing.T) {
	s := pgtest.Host(t)
	db, role, parent, hash := withRole(t, s)
	before := s.Row(t, db, "SELECT pg_current_wal_insert_lsn()")
	path := dumped(t, s, db)
	after := s.Row(t, db, "SELECT pg_current_wal_insert_lsn()")

	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o700 {
		t.Errorf("the directory has mode %o", mode)
	}
	if err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", name, mode)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, secret := range []string{canary, hash, s.Password, "SCRAM-SHA-256"} {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s holds a secret", name)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}

	a, err := archive.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	m := a.Manifest()
	if m.Server.VersionNum/10000 != s.Major || m.Server.SystemIdentifier != s.Row(t, db, "SELECT system_identifier FROM pg_control_system()") {
		t.Errorf("server: %+v", m.Server)
	}
	if want := (archive.ManifestDatabase{Name: db, Encoding: "UTF8", LocaleProvider: "libc", Collate: "C.UTF-8", CType: "C.UTF-8", Owner: role}); m.Database != want {
		t.Errorf("database (-want +got):\n%s", cmp.Diff(want, m.Database))
	}
	if got := s.Row(t, db, "SELECT '"+m.Snapshot.LSN+"'::pg_lsn BETWEEN '"+before+"' AND '"+after+"'"); got != "t" {
		t.Errorf("snapshot at %s, taken between %s and %s", m.Snapshot.LSN, before, after)
	}
	if want := (archive.ManifestArchive{Version: "1.14", PgRestore: 15, Compression: "gzip"}); m.Archive != want {
		t.Errorf("archive: %+v", m.Archive)
	}
	roles := map[string]string{}
	for _, r := range m.Roles {
		roles[r.Name] = strings.Join(r.SQL, "; ")
	}
	for _, want := range []string{"LOGIN", "CREATEDB", "CONNECTION LIMIT 7", `GRANT "` + parent + `" TO "` + role + `"`, "work_mem"} {
		if !strings.Contains(roles[role], want) {
			t.Errorf("role %s lacks %s: %s", role, want, roles[role])
		}
	}
	if roles[parent] == "" {
		t.Errorf("the role's own is missing: %v", roles)
	}
	settings := strings.Join(m.Settings, "\n")
	for _, want := range []string{"statement_timeout", "lock_timeout"} {
		if !strings.Contains(settings, want) {
			t.Errorf("settings lack %s: %s", want, settings)
		}
	}
	if len(m.Tables) != 1 || m.Tables[0].Rows != 3 || m.Tables[0].Raw != 6 || m.Tables[0].Schema != "public" || m.Tables[0].Name != "t" {
		t.Errorf("tables: %+v", m.Tables)
	}
}

// What the command tells is what the manifest has.
func TestResult(t *testing.T) {
	s := pgtest.Host(t)
	db := pgtest.Banker(t, s, 1)
	path := filepath.Join(t.TempDir(), "archive")
	out := output(t, pgtest.Pgberth(t, "dump", "--from", s.URL(db), "--file", path, "--json", "--exclude-table-data=hands", "--jobs=1"))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	before := int64(1 << 62)
	for _, line := range lines {
		var unit struct {
			Event, Object string
			Bytes         int64
		}
		if err := json.Unmarshal([]byte(line), &unit); err != nil {
			t.Fatal(err)
		}
		if unit.Event != "unit_start" {
			continue
		}
		if unit.Bytes > before {
			t.Errorf("%s, of %d bytes, came after one of %d", unit.Object, unit.Bytes, before)
		}
		before = unit.Bytes
	}
	var result struct {
		Event, Path, Layout, Compression string
		Rows                             int64
		LargeObjects                     int `json:"large_objects"`
		Tables                           []struct {
			Name string
			Rows int64
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil {
		t.Fatal(err)
	}
	if result.Event != "result" || result.Path != path || result.Layout != "1.14" || result.Compression != "gzip" {
		t.Errorf("%+v", result)
	}
	rows := int64(0)
	for _, table := range result.Tables {
		rows += table.Rows
		if want := s.Row(t, db, "SELECT count(*) FROM "+table.Name); want != itoa(int(table.Rows)) {
			t.Errorf("%s: %d rows, want %s", table.Name, table.Rows, want)
		}
		if table.Name == "public.hands" {
			t.Error("rows of a table that was left out")
		}
	}
	if rows != result.Rows {
		t.Errorf("%d rows, the tables have %d", result.Rows, rows)
	}
	if want := s.Row(t, db, "SELECT count(*) FROM pg_largeobject_metadata"); want != itoa(result.LargeObjects) {
		t.Errorf("%d large objects, want %s", result.LargeObjects, want)
	}
}
