package containerpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// counted leads connections on to an address, and counts them.
func counted(t *testing.T, count *atomic.Int32) func(address string) string {
	return func(address string) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var streams sync.WaitGroup
		t.Cleanup(func() {
			_ = listener.Close()
			streams.Wait()
		})
		streams.Go(func() {
			for {
				near, err := listener.Accept()
				if err != nil {
					return
				}
				count.Add(1)
				far, err := net.Dial("tcp", address)
				if err != nil {
					_ = near.Close()
					continue
				}
				streams.Go(func() { join(t.Context(), near, far) })
			}
		})
		return listener.Addr().String()
	}
}

// ask sends a request through a new connection.
func ask(ctx context.Context, d *sshDialer) error {
	conn, err := d.dial(ctx, "", "")
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /_ping HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && !strings.HasSuffix(string(answer), "OK") {
		err = fmt.Errorf("the engine answered %q", answer)
	}
	return err
}

func TestSSHShared(t *testing.T) {
	for name, config := range map[string][]string{"processes": {"AllowStreamLocalForwarding no"}, "sockets": nil} {
		t.Run(name, func(t *testing.T) { testSSHShared(t, name == "sockets", config) })
	}
}

func testSSHShared(t *testing.T, sockets bool, config []string) {
	var connections atomic.Int32
	pgtest.SSHHost(t, counted(t, &connections), config...)
	d, err := newSSHDialer("ssh://" + pgtest.SSHName)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	before := connections.Load()
	for range 4 {
		if err := ask(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load() - before; n != 1 {
		t.Errorf("%d connections to the other machine for 4 to its engine, want 1", n)
	}
	first := d.answers.master
	<-first.settled
	if leads := first.leads.Load(); leads != sockets {
		t.Errorf("a socket leads to the engine: %v, want %v", leads, sockets)
	}
	// More processes than sshd lets share a connection, which are 10, get one of their own.
	open := make([]net.Conn, 14)
	for i := range open {
		if open[i], err = d.dial(t.Context(), "", ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range open {
		if _, err := io.WriteString(conn, "GET /_ping HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(answer), "OK") {
			t.Errorf("%q, %v", answer, err)
		}
		_ = conn.Close()
	}
	if n := connections.Load() - before; sockets != (n == 1) {
		t.Errorf("%d connections to the other machine", n)
	}
	// Rows have one of their own, which knows already what is possible.
	before = connections.Load()
	for range 2 {
		if err := ask(copywire.Bulk(t.Context()), d); err != nil {
			t.Fatal(err)
		}
	}
	if n, leads := connections.Load()-before, d.rows.master.leads.Load(); n != 1 || leads != sockets {
		t.Errorf("%d more connections to the other machine for rows, want 1; a socket leads to the engine: %v, want %v", n, leads, sockets)
	}
	// The shared connection breaks: the next run has another.
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.exited
	if lost := d.lost.Load(); lost == nil || !strings.Contains(lost.Error(), "ssh "+pgtest.SSHName+" ended with signal: killed") {
		t.Errorf("what is told of a connection that ended: %v", lost)
	}
	if err := ask(t.Context(), d); err != nil {
		t.Error(err)
	}
	second := d.answers.master
	d.close()
	for _, m := range []*sshMaster{first, second, d.rows.master} {
		if _, err := os.Stat(filepath.Dir(m.socket)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", m.socket, err)
		}
	}
	if first == second || !second.gone() {
		t.Errorf("a shared connection is left: %d", second.cmd.Process.Pid)
	}
}

// Nothing that pgberth starts outlives it.
func TestSSHAfterKill(t *testing.T) {
	pgtest.SSHHost(t, nil)
	pg := pgtest.SharedContainer(t, 17)
	cmd := pgtest.Pgberth(t, "locate", pg.Container, "--docker-host", "ssh://"+pgtest.SSHName)
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	mark := sshPrefix + strconv.Itoa(cmd.Process.Pid) + "-"
	eventually(t, func() error {
		if len(processes(t, mark)) == 0 {
			return errors.New("no ssh was seen")
		}
		return nil
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed, and says so
	eventually(t, func() error {
		if left := processes(t, mark); len(left) > 0 {
			return fmt.Errorf("processes %v are left", left)
		}
		return nil
	})
	// The folder goes when the next program comes.
	sweepSocketDirs(sshPrefix)
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), mark+"*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// Nor does anything in a container of another machine.
func TestSSHKilledWhileCopying(t *testing.T) {
	pgtest.Long(t)
	pgtest.SSHHost(t, nil)
	e, pg := container17(t)
	s := resolve(t, e, Selector{Name: pg.Container})
	for _, direction := range directions {
		killWhileCopying(t, e, s, pg, direction, 0, "DOCKER_HOST=ssh://"+pgtest.SSHName)
	}
	neverRestarted(t, pg)
}

// processes are those whose command line holds a mark.
func processes(t *testing.T, mark string) (pids []int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		pgtest.Unavailable(t, "no /proc here")
	}
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), mark) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}
