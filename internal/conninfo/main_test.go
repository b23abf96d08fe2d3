package conninfo_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// clean rids the test of what its user has set up for libpq, and returns an empty home.
func clean(t testing.TB) (home string) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PG") {
			t.Setenv(name, "") // so that it comes back
			os.Unsetenv(name)
		}
	}
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("PGSYSCONFDIR", home)
	t.Setenv("PGAPPNAME", "app") // psql has a name of its own
	return home
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const whoami = `SELECT current_user || '|' || current_database() || '|' || current_setting('application_name') || '|' || COALESCE(host(inet_server_addr()), 'socket')`

// psql asks libpq where a connection string leads.
func psql(t testing.TB, conninfo string) (string, error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(pgtest.BinDir(t), "psql"), "-X", "-w", "-At", "-d", conninfo, "-c", whoami)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// ours asks the same of this package.
func ours(t testing.TB, s string) (string, error) {
	t.Helper()
	e, err := conninfo.Parse(s)
	if err != nil {
		return "", err
	}
	return connect(t, e)
}

func connect(t testing.TB, e *conninfo.Endpoint) (who string, err error) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), e.Config)
	if err != nil {
		return "", err
	}
	defer conn.Close(t.Context())
	err = conn.QueryRow(t.Context(), whoami).Scan(&who)
	return who, err
}

// child asks libpq with what a child process gets.
func child(t testing.TB, e *conninfo.Endpoint) (string, error) {
	t.Helper()
	passfile := filepath.Join(t.TempDir(), "pgpass")
	write(t, passfile, e.PassFile())
	t.Setenv("PGPASSFILE", passfile)
	defer os.Unsetenv("PGPASSFILE")
	return psql(t, e.Libpq())
}

// place puts a server's address into a connection string.
func place(s *pgtest.Server, password string) *strings.Replacer {
	return strings.NewReplacer("HOST", s.Host, "PORT", strconv.Itoa(int(s.Port)), "DIR", s.SocketDir,
		"ENC", url.QueryEscape(s.SocketDir), "PW", password)
}

// sameButApp compares answers to whoami but for the application's name.
func sameButApp(a, b string) bool {
	cut := func(s string) string { f := strings.Split(s, "|"); return f[0] + f[1] + f[3] }
	return cut(a) == cut(b)
}
