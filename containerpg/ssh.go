package containerpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgberth/pgberth/internal/copywire"
)

// An sshDialer opens connections to the engine of another machine through the
// user's own ssh, whose configuration, keys and agent are the user's too. They share
// a connection to the other machine, see [sshMaster]. Where sshd does not forward
// sockets, each is a process: "ssh HOST docker system dial-stdio".
type sshDialer struct {
	host    string   // as the user wrote it, for messages
	to      []string // what names the other machine, and how to log in
	command []string // what runs there
	socket  string   // of the engine there; empty: whichever the docker command uses

	// Rows have a connection of their own to the other machine: what waits before a slow line to be sent is all in one
	// queue for each, in which a question would wait for seconds.
	answers, rows sshShared
	lost          atomic.Pointer[SSHError] // how a connection ended that was open
	forwards      atomic.Pointer[string]   // the engine's socket, when one of them has been seen to lead there

	mu       sync.Mutex
	running  map[*sshConn]bool
	failure  *SSHError // the last one
	children sync.WaitGroup
}

// newSSHDialer reads ssh://[USER@]HOST[:PORT][/SOCKET].
func newSSHDialer(host string) (*sshDialer, error) {
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "ssh" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("malformed; want ssh://[USER@]HOST[:PORT]")
	}
	var to []string
	if u.User != nil {
		if _, hasPassword := u.User.Password(); hasPassword {
			return nil, errors.New("an ssh:// engine takes no password; use a key or an agent")
		}
		to = append(to, "-l", u.User.Username())
	}
	if u.Port() != "" {
		to = append(to, "-p", u.Port())
	}
	command := []string{"docker"}
	socket := strings.TrimSuffix(u.Path, "/")
	if socket != "" {
		command = append(command, "--host=unix://"+socket)
	}
	return &sshDialer{
		host: u.Hostname(), to: append(to, "--", u.Hostname()), command: append(command, "system", "dial-stdio"), socket: socket,
		running: map[*sshConn]bool{},
	}, nil
}

// ssh is an ssh that runs a command, apart from the terminal: Ctrl-C is for this program to deal with in order.
func (d *sshDialer) ssh(command []string, options ...string) *exec.Cmd {
	cmd := exec.Command("ssh", slices.Concat([]string{"-T", "-o", "ConnectTimeout=30"}, options, d.to, command)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// dial starts an ssh, or does without. That it cannot connect shows at the first read.
func (d *sshDialer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	shared := &d.answers
	if copywire.IsBulk(ctx) {
		shared = &d.rows
	}
	master, options := d.share(ctx, shared)
	if master != nil {
		if conn, err := master.dial(ctx); err == nil {
			return conn, nil
		}
	}
	// One end of a socket pair has the deadlines and the half-close of a network
	// connection, which pipes have not.
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("start ssh: %w", err)
	}
	c := &sshConn{Conn: ours, dialer: d, stderr: newTail(2 << 10), exited: make(chan struct{}), closing: make(chan struct{})}
	c.cmd = d.ssh(d.command, options...)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, theirs, c.stderr
	err = c.cmd.Start()
	_ = theirs.Close()
	if err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("start ssh: %w", err)
	}
	d.mu.Lock()
	d.running[c] = true
	d.mu.Unlock()
	d.children.Go(func() {
		go c.endLater()
		c.status = c.cmd.Wait()
		close(c.exited)
		d.mu.Lock()
		delete(d.running, c)
		d.mu.Unlock()
	})
	return c, nil
}

// close ends every ssh that still runs and waits for them. There may be no dialer at all.
func (d *sshDialer) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	for c := range d.running {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.children.Wait()
	for _, shared := range []*sshShared{&d.answers, &d.rows} {
		shared.close()
	}
}

// An sshConn is a connection through an ssh process.
type sshConn struct {
	net.Conn
	dialer *sshDialer
	cmd    *exec.Cmd
	stderr *tail
	heard  bool // anything at all came

	once    sync.Once
	closing chan struct{} // closed by Close
	exited  chan struct{} // closed when ssh is gone; the next field is valid then
	status  error
}

const sshGrace = 3 * time.Second

// endLater kills an ssh that does not end when its connection is closed.
func (c *sshConn) endLater() {
	select {
	case <-c.exited:
		return
	case <-c.closing:
	}
	timer := time.NewTimer(sshGrace)
	defer timer.Stop()
	select {
	case <-c.exited:
	case <-timer.C:
		_ = c.cmd.Process.Kill()
	}
}

func (c *sshConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.heard = c.heard || n > 0
	if err != nil && !c.heard {
		err = c.explain(err)
	}
	return n, err
}

func (c *sshConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		err = c.explain(err)
	}
	return n, err
}

// CloseWrite tells the other side that no more comes.
func (c *sshConn) CloseWrite() error { return c.Conn.(*net.UnixConn).CloseWrite() }

// Close ends the connection, and ssh soon after.
func (c *sshConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		close(c.closing)
	})
	return err
}

// explain prefers what ssh said at its end to the end itself.
func (c *sshConn) explain(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	select {
	case <-c.exited:
	case <-time.After(sshGrace):
		return err
	}
	if c.status == nil {
		return err
	}
	failure := &SSHError{Host: c.dialer.host, Err: c.status, Stderr: strings.TrimSpace(c.stderr.String())}
	c.dialer.mu.Lock()
	defer c.dialer.mu.Unlock()
	c.dialer.failure = failure
	return failure
}

// lastFailure is what the last ssh that failed said, or err. The docker client
// does not always pass on why it could not connect.
func (d *sshDialer) lastFailure(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil {
		return d.failure
	}
	return err
}

// An SSHError says that an ssh to an engine's machine ended before it carried
// anything, or while something was sent.
type SSHError struct {
	Host   string
	Err    error  // how it ended
	Stderr string // the end of what it wrote to its standard error
}

func (e *SSHError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("ssh %s ended with %v", e.Host, e.Err)
	}
	return fmt.Sprintf("ssh %s ended with %v: %s", e.Host, e.Err, strings.ReplaceAll(e.Stderr, "\n", "; "))
}

func (e *SSHError) Unwrap() error { return e.Err }

// socketPair makes two sockets that are connected to each other: ours for this
// program, theirs for a child.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	file := os.NewFile(uintptr(fds[0]), "ssh")
	theirs = os.NewFile(uintptr(fds[1]), "ssh")
	ours, err = net.FileConn(file) // a duplicate
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}
