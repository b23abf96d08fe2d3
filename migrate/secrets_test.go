package migrate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// canary is a password that breaks what does not quote it.
const canary = `can'ary"\ ${x}:%y`

// commandLines are those of all processes of this machine, containers included.
func commandLines(t testing.TB) string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		all.WriteString(strings.ReplaceAll(string(line), "\x00", " ") + "\n")
	}
	return all.String()
}

// assertSilent finds none of the secrets in what was seen somewhere.
func assertSilent(t testing.TB, where, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s: a secret is to be seen", where)
		}
	}
}

// TestSecrets looks for passwords wherever others could: in the arguments of
// processes, in containers, in what is printed, in logs and in files.
func TestSecrets(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	user := role(t, src, "SUPERUSER")
	src.Exec(t, "postgres", fmt.Sprintf(`ALTER ROLE %s PASSWORD '%s'`, user, strings.ReplaceAll(canary, "'", "''")))
	hash := src.Row(t, "postgres", fmt.Sprintf(`SELECT rolpassword FROM pg_authid WHERE rolname = '%s'`, l.role))
	hash = hash[:strings.LastIndexByte(hash, ':')] // without the keys: a part is enough
	secrets := []string{canary, "can'ary", dst.Password, hash}
	dst.Exec(t, "postgres", "ALTER SYSTEM SET log_statement = 'all'")
	dst.Exec(t, "postgres", "SELECT pg_reload_conf()")
	t.Cleanup(func() {
		dst.Exec(t, "postgres", "ALTER SYSTEM RESET log_statement")
		dst.Exec(t, "postgres", "SELECT pg_reload_conf()")
	})

	w := openWire(t, src)
	_, port, _ := strings.Cut(w.listener.Addr().String(), ":")
	passwords := fmt.Sprintf("127.0.0.1:%s:*:%s:%s\n%s:%d:*:postgres:%s\n", port, user,
		strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(canary), dst.Host, dst.Port, dst.Password)
	from := fmt.Sprintf("host=127.0.0.1 port=%s user=%s dbname=%s sslmode=disable", port, user, l.db)
	to := fmt.Sprintf("host=%s port=%d user=postgres dbname=%s sslmode=disable", dst.Host, dst.Port, l.db)
	for name, test := range map[string]struct {
		to   string
		more []string
		kill bool
	}{
		"client of the host":  {to: to, more: []string{"-v"}},
		"client in an image":  {to: dst.Endpoint(l.db), more: []string{"-v"}},
		"killed":              {to: to, kill: true},
		"killed, in an image": {to: dst.Endpoint(l.db), kill: true},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			l.relic(t)
			p := command(t, l.args(from, test.to, append(test.more, "--replace")...)...)
			files, home := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(home, ".pgpass"), []byte(passwords), 0o600); err != nil {
				t.Fatal(err)
			}
			p.cmd.Env = append(p.cmd.Env, "TMPDIR="+files, "HOME="+home)
			looked := 0
			look := func() {
				looked++
				assertSilent(t, "arguments of processes", commandLines(t), secrets...)
				for _, container := range p.sideContainers() {
					id, _, _ := strings.Cut(container, " ")
					assertSilent(t, "docker inspect", docker(t, "inspect", id), secrets...)
				}
				if test.kill {
					p.signal(syscall.SIGKILL)
				}
			}
			w.at(false, []string{"pg_event_trigger"}, look) // a statement of pg_dump
			p.start(nil)
			if status := p.wait(); status != 0 && !test.kill {
				t.Errorf("exit status %d", status)
			}
			if looked == 0 {
				t.Errorf("there was no pg_dump to look at\n%s", p.said())
			}
			l.assertQuiet(t, p)
			arrived := strings.Join(dst.Rows(t, "postgres", fmt.Sprintf(`SELECT rolpassword FROM pg_authid WHERE rolname = '%s'`, l.role)), "")
			if !test.kill && !strings.HasPrefix(arrived, hash) {
				t.Error("the role's password has not come along")
			}
			assertSilent(t, "output", p.said(), secrets...)
			left, err := filepath.Glob(filepath.Join(files, "*"))
			if err != nil || len(left) > 0 {
				t.Errorf("files left: %v, %v", left, err)
			}
		})
	}
	logs := docker(t, "logs", dst.Container)
	if !strings.Contains(logs, "CREATE DATABASE") {
		t.Error("the target's log does not hold statements")
	}
	assertSilent(t, "the target's log", logs, secrets...)
}
