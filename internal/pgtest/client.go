package pgtest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Psql runs a file of SQL with psql, which stops at the first error, and returns what it printed.
// Further arguments go to psql, such as "-v", "scale=2".
func (s *Server) Psql(t testing.TB, db, file string, args ...string) string {
	t.Helper()
	args = append([]string{"-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file}, args...)
	cmd := exec.Command(filepath.Join(BinDir(t), "psql"), args...)
	cmd.Env = s.clientEnv(db)
	return run(t, cmd)
}

// Dump returns the database as the plain script of the server's own version of pg_dump.
// The same content gives the same text.
func (s *Server) Dump(t testing.TB, db string, args ...string) string {
	t.Helper()
	return s.DumpWith(t, s.Major, db, args...)
}

// DumpWith is Dump by the pg_dump of another major version, not below the server's.
// Two servers' dumps are only comparable when one version wrote both.
func (s *Server) DumpWith(t testing.TB, major int, db string, args ...string) string {
	t.Helper()
	cmd := s.Client(t, major, db, "pg_dump", append([]string{"--restrict-key=pgtest"}, args...)...)
	return run(t, cmd)
}

// clientOptions keep a database's own settings from showing in what a client reads.
const clientOptions = "PGOPTIONS=-c timezone=UTC -c bytea_output=hex"

// Client returns a command that runs a PostgreSQL client program of a major version against a database:
// the server container's own, the host's, or one in a container of that version's image.
// The program reads the command's standard input.
func (s *Server) Client(t testing.TB, major int, db, program string, args ...string) *exec.Cmd {
	t.Helper()
	if s.Container != "" && s.Major == major {
		args = append([]string{"exec", "--interactive", s.Container,
			"env", "PGUSER=" + s.User, "PGDATABASE=" + db, clientOptions,
			"/usr/lib/postgresql/" + strconv.Itoa(major) + "/bin/" + program}, args...)
		return exec.Command("docker", args...)
	}
	if bin, host, err := findHost(); err == nil && host == major {
		cmd := exec.Command(filepath.Join(bin, program), args...)
		cmd.Env = append(s.clientEnv(db), clientOptions)
		return cmd
	}
	if err := engine(); err != nil {
		Unavailable(t, "%v", err)
	}
	run := []string{"run", "--rm", "--interactive", "--label", label + "=" + strconv.Itoa(os.Getpid()),
		"--network", "host", "--entrypoint", "/usr/lib/postgresql/" + strconv.Itoa(major) + "/bin/" + program}
	if strings.HasPrefix(s.Host, "/") {
		run = append(run, "--volume", s.Host+":"+s.Host)
	}
	env := append(s.connectionEnv(db), clientOptions)
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		run = append(run, "--env", name)
	}
	cmd := exec.Command("docker", append(append(run, Image(major)), args...)...)
	cmd.Env = append(cleanEnv(), env...)
	return cmd
}

// Restore fills a database from an archive with the server's own version of pg_restore, which stops at the first error.
func (s *Server) Restore(t testing.TB, db string, archive io.Reader, args ...string) {
	t.Helper()
	cmd := s.Client(t, s.Major, db, "pg_restore", append([]string{"--exit-on-error", "--dbname", db}, args...)...)
	cmd.Stdin = archive
	run(t, cmd)
}

// Copy copies a database with the stock tools, pg_dump into pg_restore of the target's major version,
// and returns the new database's name. It is the yardstick for what a migration may change.
// Roles that the target lacks are created by name only.
func (s *Server) Copy(t testing.TB, db string, target *Server) string {
	t.Helper()
	args := []string{"--format=custom", "--compress=0"}
	archive := run(t, s.Client(t, target.Major, db, "pg_dump", args...))
	if strings.Contains(archive, "SET (pg_attver=") {
		// A pg_dump older than the server's last minor release shows an option of columns that no server lets one set.
		archive = run(t, s.Client(t, s.Major, db, "pg_dump", args...))
	}
	s.CopyRoles(t, db, target)
	name := target.CreateDB(t, "TEMPLATE template0")
	target.Restore(t, name, strings.NewReader(archive))
	return name
}

// CopyRoles creates the roles that objects of a database name and the target lacks, by name only. Others may belong to tests that
// run beside.
func (s *Server) CopyRoles(t testing.TB, db string, target *Server) {
	t.Helper()
	have := target.Rows(t, "postgres", "SELECT rolname FROM pg_roles")
	for _, role := range s.Rows(t, db, `
SELECT DISTINCT r.rolname FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
WHERE d.refclassid = 'pg_authid'::regclass AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`) {
		if !slices.Contains(have, role) {
			target.Exec(t, "postgres", "CREATE ROLE "+pgx.Identifier{role}.Sanitize())
		}
	}
}

// connectionEnv tells a libpq program where the database is.
func (s *Server) connectionEnv(db string) []string {
	return []string{
		"PGHOST=" + s.Host, "PGPORT=" + strconv.Itoa(int(s.Port)),
		"PGUSER=" + s.User, "PGPASSWORD=" + s.Password, "PGDATABASE=" + db,
		"PGSSLMODE=disable", "PGCONNECT_TIMEOUT=20",
	}
}

func (s *Server) clientEnv(db string) []string {
	return append(cleanEnv(), s.connectionEnv(db)...)
}

// run runs a command and returns its output; the test fails when the command does.
func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("pgtest: %s: %v\n%s", filepath.Base(cmd.Path), err, tail(stderr.Bytes()))
	}
	return stdout.String()
}
