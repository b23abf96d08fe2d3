package containerpg

import (
	"bufio"
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
// handshake. It runs what the others do, which ends with its input: no ssh outlives this program, however it ends.
//
// Where sshd allows it, a socket of this machine leads through it to the engine's own. Who connects there starts no process on
// either machine, and is not one of the ten that share a connection at most.
type sshMaster struct {
	cmd    *exec.Cmd
	input  io.Closer
	socket string // for those that share the connection
	exited chan struct{}

	engine    string // the socket that leads to the engine's
	leads     atomic.Bool
	forwarder sync.WaitGroup
}

const sshPrefix = "pgberth-ssh-"

// share answers the master, if there is one, and the options by which the next ssh shares its connection. Where that cannot be it
// answers those for a connection of its own: what is wrong with it shows there.
func (d *sshDialer) share(ctx context.Context) (*sshMaster, []string) {
	d.sharing.Lock()
	defer d.sharing.Unlock()
	// An open connection that the user shares is used, but none of these is one that others come to depend on.
	plain := []string{"-o", "ControlMaster=no"}
	if d.master == nil && !d.apart {
		d.apart = d.ssh(nil, "-O", "check").Run() == nil // the user has one open
	}
	if d.apart {
		return nil, plain
	}
	if d.master == nil || d.master.gone() {
		if d.master != nil {
			d.master.close()
		}
		var err error
		if d.master, err = d.startMaster(ctx); err != nil {
			d.apart = ctx.Err() == nil
			return nil, plain
		}
	}
	return d.master, append(plain, "-S", d.master.socket)
}

// whereEngine makes the other machine's docker command say where its engine listens.
const whereEngine = `docker context inspect --format "{{.Endpoints.docker.Host}}";`

// startMaster starts an ssh and waits until others may share its connection.
func (d *sshDialer) startMaster(ctx context.Context) (*sshMaster, error) {
	dir, err := newSocketDir(sshPrefix)
	if err != nil {
		return nil, err
	}
	command := d.command
	if d.socket == "" {
		command = slices.Concat([]string{whereEngine}, command)
	}
	m := &sshMaster{socket: filepath.Join(dir, "s"), engine: filepath.Join(dir, "engine"), exited: make(chan struct{})}
	m.cmd = d.ssh(command, "-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-S", m.socket)
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
		_ = m.cmd.Wait() // why it ended, the next connection says
		close(m.exited)
	}()
	for {
		if _, err := os.Stat(m.socket); err == nil {
			m.forwarder.Go(func() { m.forward(d, output) })
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
	m.leads.Store(answer.StatusCode == http.StatusOK)
}

// dial connects to the engine by the socket that leads there, if it does.
func (m *sshMaster) dial(ctx context.Context) (net.Conn, error) {
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
	_ = m.input.Close()
	timer := time.AfterFunc(sshGrace, func() { _ = m.cmd.Process.Kill() })
	defer timer.Stop()
	<-m.exited
	m.forwarder.Wait()
	_ = os.RemoveAll(filepath.Dir(m.socket))
}
