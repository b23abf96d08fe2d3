package backup_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// A password is in no argument of any process, nothing that is printed and no file.
func TestSecrets(t *testing.T) {
	t.Parallel()
	s := pgtest.Host(t)
	db := sample(t, s)
	const canary = `can'ary"\ ${x}:%y`
	user := pgtest.NewName("role")
	s.Exec(t, "postgres", `CREATE ROLE `+user+` SUPERUSER LOGIN PASSWORD '`+strings.ReplaceAll(canary, "'", "''")+`'`)
	t.Cleanup(func() { s.Exec(t, "postgres", "DROP ROLE "+user) })
	repo, temporary := filepath.Join(t.TempDir(), "repo"), t.TempDir()
	url := s.URLAs(user, "", db)
	for _, args := range [][]string{{"--verbose"}, {"--globals"}, {"--from", s.URLAs(user, "", "nowhere")}} {
		cmd := pgtest.Pgberth(t, append([]string{"dump", "--from", url, "--repo", repo}, args...)...)
		cmd.Env = append(cmd.Env, "PGPASSWORD="+canary, "TMPDIR="+temporary)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		for running := true; running; {
			select {
			case <-done:
				running = false
			case <-time.After(10 * time.Millisecond): // else it takes the processor that the program is to run on
				if strings.Contains(commandLines(t), "can'ary") {
					t.Error("the password is in the arguments of a process")
					running = false
					<-done
				}
			}
		}
		if strings.Contains(out.String(), "can'ary") {
			t.Errorf("the password is printed:\n%s", &out)
		}
	}
	if len(backups(t, repo)) < 2 {
		t.Errorf("backups: %v", backups(t, repo))
	}
	for _, dir := range []string{repo, temporary} {
		for name, data := range files(t, dir) {
			if strings.Contains(data, "can'ary") || strings.Contains(data, "can''ary") {
				t.Errorf("the password is in %s", name)
			}
		}
	}
}

// commandLines are those of all processes of this machine.
func commandLines(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range found {
		if line, err := os.ReadFile(file); err == nil { // it may have ended
			all.Write(line)
			all.WriteByte('\n')
		}
	}
	return all.String()
}
