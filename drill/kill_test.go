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
	t.Parallel()
	lines := []int{2, 12, 40}
	if pgtest.Soak() {
		lines = nil
		for i := range 50 {
			lines = append(lines, 1+i*2)
		}
	}
	for kind, source := range map[string]*pgtest.Server{"docker": pgtest.SharedContainer(t, 17), "local": pgtest.Host(t)} {
		path := dumped(t, source, pgtest.Banker(t, source, 1))
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			killed(t, lines, "drill", "--json", path, "--server", kind)
		})
	}
}

// killed kills drills after so many lines each, and looks for what is left.
func killed(t *testing.T, lines []int, args ...string) {
	temp, err := os.MkdirTemp("", "pgd") // short, for the path of a socket, and open to the user that runs the server
	if err == nil {
		err = os.Chmod(temp, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	for _, n := range lines {
		pid := killAfter(t, n, temp, args...)
		// The engine finishes what it was asked to make, even if nobody waits for it any more.
		const most = 100
		for i := range most {
			cmd := pgtest.Pgberth(t, "drill", "--reap")
			cmd.Env = append(cmd.Env, "TMPDIR="+temp)
			status, stdout, stderr := pgtest.Status(t, cmd)
			if status != 0 {
				t.Fatalf("reap: status %d\n%s%s", status, stdout, stderr)
			}
			entries, err := os.ReadDir(temp)
			if err != nil {
				t.Fatal(err)
			}
			left := made(t, pid)
			if len(entries) == 0 && left == "" {
				break
			}
			if i == most-1 {
				t.Errorf("%v killed after %d lines: there is always something: %v\n%s\nand reap says %s", args, n, entries, left, stdout)
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
