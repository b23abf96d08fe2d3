package drill_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// A drill that is killed leaves nothing behind that the next one, or --reap, does not remove.
func TestKilled(t *testing.T) {
	source := pgtest.SharedContainer(t, 17)
	host := pgtest.Host(t)
	container, local := dumped(t, source, pgtest.Banker(t, source, 1)), dumped(t, host, pgtest.Banker(t, host, 1))
	temp, err := os.MkdirTemp("", "pgd") // short, for the path of a socket, and open to the user that runs the server
	if err == nil {
		err = os.Chmod(temp, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	pgberth := func(args ...string) (int, string) {
		cmd := pgtest.Pgberth(t, args...)
		cmd.Env = append(cmd.Env, "TMPDIR="+temp)
		status, stdout, stderr := pgtest.Status(t, cmd)
		return status, stdout + stderr
	}
	lines := []int{2, 12, 40}
	if soak() {
		lines = nil
		for i := range 50 {
			lines = append(lines, 1+i*2)
		}
	}
	for _, n := range lines {
		for _, args := range [][]string{{container, "--server", "docker"}, {local, "--server", "local"}} {
			pid := killAfter(t, n, temp, append([]string{"drill", "--json"}, args...)...)
			// The engine finishes what it was asked to make, even if nobody waits for it any more.
			const most = 100
			for i := range most {
				status, out := pgberth("drill", "--reap")
				if status != 0 {
					t.Fatalf("reap: status %d\n%s", status, out)
				}
				if strings.Contains(out, "nothing was left") && made(t, pid) == "" {
					break
				}
				if i == most-1 {
					t.Errorf("%v killed after %d lines: there is always something: %s", args, n, out)
				}
			}
			if entries, err := os.ReadDir(temp); err != nil || len(entries) > 0 {
				t.Errorf("%v killed after %d lines: left %v, %v", args, n, entries, err)
			}
		}
	}
}

// killAfter runs the program and kills it when it has written some lines, or lets it end.
func killAfter(t testing.TB, n int, temp string, args ...string) (pid int) {
	t.Helper()
	cmd := pgtest.Pgberth(t, args...)
	cmd.Env = append(cmd.Env, "TMPDIR="+temp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 16<<20)
	for range n {
		if !scanner.Scan() {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil && !strings.Contains(err.Error(), "already finished") {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	return cmd.Process.Pid
}

// made lists what a process has made on the engine and nobody has removed.
func made(t testing.TB, pid int) string {
	t.Helper()
	list := ""
	for _, words := range [][]string{{"ps", "--all"}, {"network", "ls"}, {"volume", "ls"}} {
		out, err := exec.Command("docker", append(words, "--filter", "label=org.pgberth.drill", "--format", `{{.Label "org.pgberth.drill"}}`)...).Output()
		if err != nil {
			t.Fatalf("docker %v: %v", words, err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, fmt.Sprintf("/%d/", pid)) {
				list += strings.Join(words, " ") + ": " + line
			}
		}
	}
	return list
}
