package pgtools_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/pgtools"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// Nothing that others may see of a child tells the password, or leads it elsewhere.
func TestDumpHidesThePassword(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("looks into /proc")
	}
	const password = "c4n4ry"
	t.Setenv("PGPASSWORD", password)
	t.Setenv("PGSERVICE", "elsewhere")
	t.Setenv("PGHOSTADDR", "192.0.2.1")
	t.Setenv("PG_COLOR", "never")
	client := fake(t, `tr '\0' '\n' </proc/$$/cmdline; tr '\0' '\n' </proc/$$/environ; echo "stdin: $(cat)"; printf 'file: '; cat "$PGPASSFILE" >&2; stat -L -c %a "$PGPASSFILE"; exit 7`)
	var out bytes.Buffer
	err := client.Dump(t.Context(), pgtools.Request{
		Conninfo: "host='h' user='u'", PassFile: "*:*:*:*:" + password + "\n", Args: []string{"--format=custom"}, Stdout: &out,
	})
	var exit *pgtools.ExitError
	if !errors.As(err, &exit) || exit.Stderr != "*:*:*:*:"+password {
		t.Fatalf("the child did not get the password file: %v", err)
	}
	text := out.String()
	for _, no := range []string{password, "elsewhere", "192.0.2.1"} {
		if strings.Contains(text, no) {
			t.Errorf("the child shows %s:\n%s", no, text)
		}
	}
	for _, want := range []string{"\n--dbname=host='h' user='u'\n--no-password\n--format=custom\n", "\nPG_COLOR=never\n", "\nLC_MESSAGES=C\n", "\nstdin: \n", "\nfile: 600\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the child lacks %q:\n%s", want, text)
		}
	}
}

// The real one, with a password no file format likes.
func TestDumpOfServer(t *testing.T) {
	host := pgtest.Host(t)
	const password = `p:a\s' "s`
	role := pgtest.NewName("role")
	host.Exec(t, "postgres", "CREATE ROLE "+role+" LOGIN SUPERUSER PASSWORD "+catalog.Literal(password))
	t.Cleanup(func() { host.Exec(t, "postgres", "DROP ROLE "+role) })
	db := host.CreateDB(t)
	host.Exec(t, db, "CREATE TABLE t AS SELECT 42 AS a")
	clients, err := pgtools.FindHost(t.Context(), pgtest.BinDir(t)+"/pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := pgtools.FormatVersion(clients[0].Version()), host.Row(t, db, "SELECT split_part(current_setting('server_version'), ' ', 1)"); got != want {
		t.Errorf("the version is %s, want %s", got, want)
	}
	endpoint, err := conninfo.Parse(host.URLAs(role, password, db))
	if err != nil {
		t.Fatal(err)
	}
	request := pgtools.Request{Conninfo: endpoint.Libpq(), PassFile: endpoint.PassFile()}
	var out bytes.Buffer
	request.Stdout = &out
	if err := clients[0].Dump(t.Context(), request); err != nil || !strings.Contains(out.String(), "\n42\n") {
		t.Errorf("the dump holds no 42: %v", err)
	}
	request.Args = []string{"--table=missing"}
	err = clients[0].Dump(t.Context(), request)
	var exit *pgtools.ExitError
	if !errors.As(err, &exit) || exit.Code != 1 || !strings.Contains(exit.Stderr, "no matching tables were found") {
		t.Errorf("a table that is missing: %v", err)
	}
	request.Args, request.PassFile = nil, "*:*:*:*:wrong\n"
	if err := clients[0].Dump(t.Context(), request); err == nil || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestExitErrors(t *testing.T) {
	for _, test := range []struct{ script, want string }{
		{"exit 5", "ended with status 5"},
		{"echo one >&2; echo two >&2; exit 5", "ended with status 5: one\ntwo"},
		{"kill -9 $$", "ended with status -1"},
		{"i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done >&2; exit 1", "line 1998\nline 1999"},
	} {
		err := fake(t, test.script).Dump(t.Context(), pgtools.Request{Stdout: io.Discard})
		if err == nil || !strings.HasSuffix(err.Error(), test.want) || len(err.Error()) > 10000 {
			t.Errorf("%s: %v", test.script, err)
		}
	}
	full := errors.New("disk full")
	err := fake(t, "echo archive").Dump(t.Context(), pgtools.Request{Stdout: writerFunc(func([]byte) (int, error) { return 0, full })})
	if !errors.Is(err, full) {
		t.Errorf("a failed writer: %v", err)
	}
}

// The end of the context ends the child, and Dump waits for that.
func TestCancelledChildIsGone(t *testing.T) {
	client := fake(t, "echo $$; exec sleep 3600")
	ctx, cancel := context.WithCancel(t.Context())
	var pid int
	ready := writerFunc(func(p []byte) (int, error) {
		defer cancel()
		return len(p), second(fmt.Sscan(string(p), &pid))
	})
	if err := client.Dump(ctx, pgtools.Request{Stdout: ready}); !errors.Is(err, context.Canceled) || pid == 0 {
		t.Errorf("process %d: %v", pid, err)
	}
	if err := exec.Command("kill", "-0", fmt.Sprint(pid)).Run(); err == nil {
		t.Errorf("process %d still runs", pid)
	}
}

func second(_ int, err error) error { return err }
