package containerpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// An sshMaster is an ssh whose connection the others of a run share, so that each of them costs two round trips instead of a new
// handshake. It runs what the others do, which ends with its input: no ssh outlives this program, however it ends.
type sshMaster struct {
	cmd    *exec.Cmd
	input  io.Closer
	socket string
	exited chan struct{}
}

const sshPrefix = "pgberth-ssh-"

// share answers the options by which the next ssh shares a connection. Where that cannot be it answers those for a connection
// of its own: what is wrong with it shows there.
func (d *sshDialer) share(ctx context.Context) []string {
	d.sharing.Lock()
	defer d.sharing.Unlock()
	// An open connection that the user shares is used, but none of these is one that others come to depend on.
	plain := []string{"-o", "ControlMaster=no"}
	if d.master == nil && !d.apart {
		d.apart = d.ssh("-O", "check").Run() == nil // the user has one open
	}
	if d.apart {
		return plain
	}
	if d.master == nil || d.master.gone() {
		if d.master != nil {
			d.master.close()
		}
		var err error
		if d.master, err = d.startMaster(ctx); err != nil {
			d.apart = ctx.Err() == nil
			return plain
		}
	}
	return append(plain, "-S", d.master.socket)
}

// startMaster starts an ssh and waits until others may share its connection.
func (d *sshDialer) startMaster(ctx context.Context) (*sshMaster, error) {
	dir, err := newSocketDir(sshPrefix)
	if err != nil {
		return nil, err
	}
	m := &sshMaster{socket: filepath.Join(dir, "s"), exited: make(chan struct{})}
	m.cmd = d.ssh("-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-S", m.socket)
	input, err := m.cmd.StdinPipe()
	if err == nil {
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
	_ = os.RemoveAll(filepath.Dir(m.socket))
}
