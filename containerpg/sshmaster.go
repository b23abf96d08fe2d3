package containerpg

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An sshMaster is an ssh whose connection the others of a run share, so that each of them costs two round trips instead of a new
// handshake. What it runs ends with its input: no ssh outlives this program, however it ends.
//
// Where sshd allows it, a socket of this machine leads through it to the engine's own. Who connects there starts no process on
// either machine, and is not one of the ten that share a connection at most.
type sshMaster struct {
	cmd    *exec.Cmd
	input  io.Closer
	socket string // for those that share the connection
	stderr *tail
	ready  atomic.Bool // others may share its connection
	ended  atomic.Bool // by close
	exited chan struct{}

	engine  string // the socket that leads to the engine's
	leads   atomic.Bool
	settled chan struct{} // closed when leads is what it stays, of a master that was ready
}

// errClosed is how an ssh ended that says nothing of it.
var errClosed = errors.New("the end of its connection")

const sshPrefix = "pgberth-ssh-"

// An sshShared is a connection to the other machine that others share.
type sshShared struct {
	mu     sync.Mutex // held while a master is being started
	master *sshMaster // nil before the first connection
	apart  bool       // each connection is one of its own
}

// close ends the master. What comes later has a connection of its own.
func (s *sshShared) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.master != nil {
		s.master.close()
	}
	s.apart = true
}

// share answers the master, if there is one, and the options by which the next ssh shares its connection. Where that cannot be it
// answers those for a connection of its own: what is wrong with it shows there.
func (d *sshDialer) share(ctx context.Context, s *sshShared) (*sshMaster, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// An open connection that the user shares is used, but none of these is one that others come to depend on.
	plain := []string{"-o", "ControlMaster=no"}
	if s.master == nil && !s.apart {
		s.apart = d.ssh(nil, "-O", "check").Run() == nil // the user has one open
	}
	if s.apart {
		return nil, plain
	}
	if s.master == nil || s.master.gone() {
		if s.master != nil {
			s.master.close()
		}
		var err error
		if s.master, err = d.startMaster(ctx); err != nil {
			s.apart = ctx.Err() == nil
			return nil, plain
		}
	}
	return s.master, append(plain, "-S", s.master.socket)
}

// whereEngine makes the other machine's docker command say where its engine listens.
const whereEngine = `docker context inspect --format "{{.Endpoints.docker.Host}}";`

// startMaster starts an ssh and waits until others may share its connection.
func (d *sshDialer) startMaster(ctx context.Context) (*sshMaster, error) {
	dir, err := newSocketDir(sshPrefix)
	if err != nil {
		return nil, err
	}
	m := &sshMaster{socket: filepath.Join(dir, "s"), engine: filepath.Join(dir, "engine"), stderr: newTail(2 << 10), exited: make(chan struct{}), settled: make(chan struct{})}
	command, options := d.command, []string{"-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-S", m.socket}
	known := d.forwards.Load()
	switch {
	case known != nil:
		command, options = []string{"cat"}, append(options, "-L", m.engine+":"+*known)
	case d.socket == "":
		command = slices.Concat([]string{whereEngine}, command)
	}
	m.cmd = d.ssh(command, options...)
	m.cmd.Stderr = m.stderr
	input, inputErr := m.cmd.StdinPipe()
	output, outputErr := m.cmd.StdoutPipe()
	if err = errors.Join(inputErr, outputErr); err == nil {
		m.input = input
		err = m.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() {
		err := m.cmd.Wait()
		if m.ready.Load() && !m.ended.Load() {
			d.lost.Store(&SSHError{Host: d.host, Err: cmp.Or(err, errClosed), Stderr: strings.TrimSpace(m.stderr.String())})
		}
		close(m.exited) // why one that was never ready ended, the next connection says
	}()
	for {
		if _, err := os.Stat(m.socket); err == nil {
			m.ready.Store(true)
			m.leads.Store(known != nil)
			go func() {
				defer close(m.settled)
				if known == nil {
					m.forward(d, output)
				}
			}()
			return m, nil
		}
		select {
		case <-m.exited:
			err = fmt.Errorf("ssh %s ended", d.host)
		default:
			err = pause(ctx, 5*time.Millisecond)
		}
		if err != nil {
			m.close()
			return nil, err
		}
	}
}

// forward makes the socket that leads to the engine. Where there can be none, connections are processes.
func (m *sshMaster) forward(d *sshDialer, output io.Reader) {
	socket := d.socket
	// What a login shell has to say may come first.
	for lines := bufio.NewScanner(io.LimitReader(output, 64<<10)); socket == "" && lines.Scan(); {
		socket, _ = strings.CutPrefix(lines.Text(), "unix://")
		if !strings.HasPrefix(socket, "/") || strings.Contains(socket, ":") {
			socket = ""
		}
	}
	if socket == "" || d.ssh(nil, "-S", m.socket, "-O", "forward", "-L", m.engine+":"+socket).Run() != nil {
		return
	}
	// That sshd refuses shows with the first connection only.
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return m.connect(ctx) }}
	client := http.Client{Transport: transport, Timeout: sshPingTimeout}
	answer, err := client.Get("http://docker.invalid/_ping")
	if err != nil {
		return
	}
	_ = answer.Body.Close() // of an answer that says all by its status
	if answer.StatusCode == http.StatusOK {
		m.leads.Store(true)
		d.forwards.Store(&socket)
	}
}

// forwardPatience bounds the wait for the socket. The other machine may say nothing, as where it runs one command only.
const forwardPatience = 2 * time.Second

// dial connects to the engine by the socket that leads there, if it does.
func (m *sshMaster) dial(ctx context.Context) (net.Conn, error) {
	patience := time.NewTimer(forwardPatience)
	defer patience.Stop()
	select {
	case <-m.settled:
	case <-patience.C:
	case <-m.exited:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if !m.leads.Load() {
		return nil, net.ErrClosed
	}
	return m.connect(ctx)
}

func (m *sshMaster) connect(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", m.engine)
}

func (m *sshMaster) gone() bool {
	select {
	case <-m.exited:
		return true
	default:
		return false
	}
}

// close ends the ssh and waits for it.
func (m *sshMaster) close() {
	m.ended.Store(true)
	_ = m.input.Close()
	timer := time.AfterFunc(sshGrace, func() { _ = m.cmd.Process.Kill() })
	defer timer.Stop()
	<-m.exited
	if m.ready.Load() {
		<-m.settled
	}
	_ = os.RemoveAll(filepath.Dir(m.socket))
}
