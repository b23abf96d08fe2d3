package migrate_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/migrate"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// deadline bounds what must happen soon, on a machine that is busy with other things.
const deadline = time.Minute

// event is a line of --json.
type event struct {
	Event, Phase, Object, Text, Remedy string

	Code     int
	Message  string
	Remedies []string
	Problems []migrate.Problem
}

// A process is a run of the program.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	stderr bytes.Buffer
	read   chan struct{} // closed when its standard output has ended

	mu     sync.Mutex
	stdout []byte
	events []event
}

// command prepares a run with --json.
func command(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: pgtest.Pgberth(t, append(args, "--json")...), read: make(chan struct{})}
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = 10 * time.Second
	return p
}

// start runs the program, and onEvent with every event as it arrives.
func (p *process) start(onEvent func(event)) {
	p.t.Helper()
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { p.signal(syscall.SIGKILL) })
	go func() {
		defer close(p.read)
		p.follow(stdout, onEvent)
	}()
}

func (p *process) follow(stdout io.Reader, onEvent func(event)) {
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		broken := json.Unmarshal(line, &e) // a killed run may leave half a line
		p.mu.Lock()
		p.stdout = append(p.stdout, line...)
		if broken == nil {
			p.events = append(p.events, e)
		}
		p.mu.Unlock()
		if broken == nil && onEvent != nil {
			onEvent(e)
		}
		if err != nil {
			return
		}
	}
}

// signal sends a signal to the process alone, if it still runs.
func (p *process) signal(s os.Signal) {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(s) // it may have ended by itself
	}
}

// wait returns the exit status, or -1 if a signal ended the process.
func (p *process) wait() int {
	p.t.Helper()
	timer := time.AfterFunc(2*deadline, func() { p.signal(syscall.SIGQUIT) }) // for its stacks
	defer timer.Stop()
	<-p.read
	err := p.cmd.Wait()
	if err != nil && p.cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	if bytes.Contains(p.stderr.Bytes(), []byte("goroutine ")) {
		p.t.Fatalf("the program crashed, or did not end:\n%s", p.stderr.Bytes())
	}
	return p.cmd.ProcessState.ExitCode()
}

// run runs the program to its end.
func (p *process) run() int {
	p.t.Helper()
	p.start(nil)
	return p.wait()
}

// must runs the program, which has to succeed.
func (p *process) must() {
	p.t.Helper()
	if status := p.run(); status != 0 {
		p.t.Fatalf("pgberth %s: exit status %d\n%s", p.cmd.Args[1], status, p.said())
	}
}

// said is all that the program wrote.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.stdout) + p.stderr.String()
}

// failure is the last event, if it tells of a failure.
func (p *process) failure() event {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.events); n > 0 && p.events[n-1].Event == "error" {
		return p.events[n-1]
	}
	return event{}
}

// eventually waits until check has nothing to complain about.
func eventually(t testing.TB, check func() string) {
	t.Helper()
	end := time.Now().Add(deadline)
	complaint := check()
	for ; complaint != "" && time.Now().Before(end); complaint = check() {
		time.Sleep(20 * time.Millisecond)
	}
	if complaint != "" {
		t.Error(complaint)
	}
}

// children are the clients that a run against this server has left, wherever they run.
func children(t testing.TB, server string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		args := strings.ReplaceAll(string(line), "\x00", " ")
		if strings.Contains(args, "pg_dump") && strings.Contains(args, server) {
			found = append(found, args)
		}
	}
	return found
}

// sideContainers are the containers that the run made and that are still there.
func (p *process) sideContainers() []string {
	p.t.Helper()
	const label = "org.pgberth.run" // its value holds the process's number
	out, err := exec.Command("docker", "ps", "--all", "--filter", "label="+label,
		"--format", `{{.ID}} {{.Status}} {{.Label "`+label+`"}}`).Output()
	if err != nil {
		p.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return slices.DeleteFunc(lines, func(line string) bool {
		return !strings.Contains(line, fmt.Sprintf("/%d/", p.cmd.Process.Pid))
	})
}

func itoa(n int) string { return strconv.Itoa(n) }
