package restore_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/restore"
)

// The roles that an archive of ours names are created where they are missing: with all but their passwords.
func TestRolesOfTheManifest(t *testing.T) {
	source, target := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	owner, group, reader := pgtest.NewName("owner"), pgtest.NewName("group"), pgtest.NewName("reader")
	source.Exec(t, "postgres", "CREATE ROLE "+group+"; CREATE ROLE "+reader+"; CREATE ROLE "+owner+
		" LOGIN CREATEDB CONNECTION LIMIT 7 VALID UNTIL '2035-01-01Z' PASSWORD 'canary' IN ROLE "+group+"; ALTER ROLE "+owner+" SET work_mem = '7MB'")
	db := source.CreateDB(t, "TEMPLATE template0")
	t.Cleanup(func() {
		source.DropDB(t, db)
		source.Exec(t, "postgres", "DROP ROLE "+owner+", "+group+", "+reader)
	})
	source.Exec(t, db, "CREATE TABLE t (id int); ALTER TABLE t OWNER TO "+owner+"; GRANT SELECT ON t TO "+reader)
	path := ours(t, source, db)

	drop := func() {
		target.DropDB(t, db)
		target.Exec(t, "postgres", "DROP ROLE IF EXISTS "+owner+", "+group+", "+reader)
	}
	t.Cleanup(drop)
	opts := options(t, target, db)
	var findings *preflight.Error
	opts.NoRoles = true
	if _, err := restore.FromArchive(t.Context(), open(t, path), opts); !errors.As(err, &findings) || !strings.Contains(err.Error(), "role "+owner) {
		t.Fatalf("--no-roles: %v", err)
	}
	opts.NoRoles = false
	w := &warnings{}
	opts.Reporter = w
	result, err := restore.FromArchive(t.Context(), open(t, path), opts)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(result.RolesCreated)
	want := []string{group, owner, reader}
	slices.Sort(want)
	if !slices.Equal(result.RolesCreated, want) {
		t.Errorf("created %v, want %v", result.RolesCreated, want)
	}
	if !w.has("role " + owner + ": is created without a password") {
		t.Errorf("warnings: %v", w.texts)
	}
	attributes := `SELECT rolname, rolcanlogin, rolcreatedb, rolconnlimit, rolvaliduntil AT TIME ZONE 'UTC', rolconfig,
(SELECT string_agg(roleid::regrole::text, ' ') FROM pg_auth_members WHERE member = pg_roles.oid) FROM pg_roles
WHERE rolname IN ('` + owner + `', '` + group + `', '` + reader + `') ORDER BY 1`
	if want, got := source.Rows(t, "postgres", attributes), target.Rows(t, "postgres", attributes); !slices.Equal(want, got) {
		t.Errorf("roles\n%s\nat the source\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := target.Row(t, "postgres", "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname = '"+owner+"'"); got != "0" {
		t.Error("the role has a password")
	}
	if got := target.Row(t, db, "SELECT relowner::regrole, has_table_privilege('"+reader+"', 't', 'SELECT') FROM pg_class WHERE relname = 't'"); got != owner+"|t" {
		t.Errorf("the table: %s", got)
	}
	// A stock archive does not say how its roles are made.
	drop()
	if _, err := restore.FromArchive(t.Context(), open(t, stockDump(t, source, db, "-Fc")), opts); !errors.As(err, &findings) || !strings.Contains(err.Error(), "without a manifest") {
		t.Errorf("stock: %v", err)
	}
	opts.Archive.NoOwner, opts.Archive.NoPrivileges = true, true
	if _, err := restore.FromArchive(t.Context(), open(t, stockDump(t, source, db, "-Fc")), opts); err != nil {
		t.Errorf("stock, without owners: %v", err)
	}
}

// Standard input is read as a file where it is one, and as a pipe else; the database gets the archive's name.
func TestStandardInput(t *testing.T) {
	source, target := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := source.CreateDB(t, "TEMPLATE template0")
	source.Exec(t, db, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
	for _, form := range []string{"-Fc", "-Ft"} {
		path := stockDump(t, source, db, form)
		for _, piped := range []bool{false, true} {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			cmd := pgtest.Pgberth(t, "restore", "-", "--to", "docker://"+target.Container, "--create-name", db, "--quiet")
			cmd.Stdin = f
			if piped {
				cmd.Stdin = io.MultiReader(f)
			}
			status, _, stderr := pgtest.Status(t, cmd)
			switch {
			case piped && form == "-Ft":
				if status != 1 || !strings.Contains(stderr, "cannot be read from a pipe") {
					t.Errorf("a tar archive from a pipe: status %d: %s", status, stderr)
				}
			case status != 0:
				t.Errorf("%s, piped %v: status %d: %s", form, piped, status, stderr)
			default:
				if got := target.Row(t, db, "SELECT count(*) FROM t"); got != "1000" {
					t.Errorf("%s, piped %v: %s rows", form, piped, got)
				}
			}
			target.DropDB(t, db)
			f.Close()
		}
	}
}

// A pipe that gives no more amid the rows does not hold up an interrupt.
func TestInterruptedPipe(t *testing.T) {
	s := pgtest.Host(t)
	db := s.CreateDB(t, "TEMPLATE template0")
	s.Exec(t, db, "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 100000) i")
	data, err := os.ReadFile(stockDump(t, s, db, "-Fc", "-Z0"))
	if err != nil {
		t.Fatal(err)
	}
	before := s.Rows(t, "postgres", databases)
	name := newName(t, s)
	cmd := pgtest.Pgberth(t, "restore", "-", "--to", s.URL(name))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(data[:len(data)/2]); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		return s.Row(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY %' AND datname LIKE '"+name+"%'") == "1"
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 130 || !strings.HasSuffix(stderr.String(), "pgberth: interrupted\n") {
		t.Errorf("%v: %s", err, &stderr)
	}
	in.Close()
	if after := s.Rows(t, "postgres", databases); !slices.Equal(after, before) {
		t.Errorf("databases %v, before %v", after, before)
	}
}

// eventually waits until something holds.
func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never happens")
		}
	}
}
