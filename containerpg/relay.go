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
	"syscall"
)

// A Relay is a unix socket on this machine that leads to a server in a
// container, for programs that know libpq's endpoints only. Close it.
type Relay struct {
	Dir  string // of the socket; only this user may enter it
	Port int    // part of the socket's name

	listener net.Listener
	stop     context.CancelFunc
	streams  sync.WaitGroup
}

// NeedsRelay says that programs of this machine cannot reach the server where
// [Server.ConnConfig] says it is.
func (s *Server) NeedsRelay() bool {
	return s.Path == ViaExec || s.Path == ViaSocket && !strings.HasPrefix(s.conn.Host, "/")
}

const relayPrefix = "pgberth-relay-"

// Relay starts to listen.
func (s *Server) Relay() (*Relay, error) {
	dir, err := newSocketDir(relayPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a socket that leads to container %q: %w", s.Name, err)
	}
	r := &Relay{Dir: dir, Port: int(s.conn.Port)}
	r.listener, err = net.Listen("unix", filepath.Join(dir, fmt.Sprintf(".s.PGSQL.%d", r.Port)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a socket that leads to container %q: %w", s.Name, err), os.RemoveAll(dir))
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	r.streams.Go(func() { r.serve(ctx, s) })
	return r, nil
}

func (r *Relay) serve(ctx context.Context, s *Server) {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return // Close closes it
		}
		r.streams.Go(func() {
			defer client.Close()
			server, err := s.conn.DialFunc(ctx, "", "")
			if err != nil {
				return // the client says that the server closed the connection
			}
			join(ctx, client, server)
		})
	}
}

// join copies between two connections until both have ended, or ctx, and closes
// them.
func join(ctx context.Context, a, b net.Conn) {
	hangUp := func() { _, _ = a.Close(), b.Close() }
	defer context.AfterFunc(ctx, hangUp)()
	defer hangUp()
	var other sync.WaitGroup
	other.Go(func() { pass(a, b) })
	pass(b, a)
	other.Wait()
}

// pass copies what comes from src to dst, and its end.
func pass(dst, src net.Conn) {
	_, err := io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
	half, ok := dst.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		_, _ = dst.Close(), src.Close()
	}
}

// Close ends every connection and removes the socket.
func (r *Relay) Close() error {
	err := r.listener.Close()
	r.stop()
	r.streams.Wait()
	return errors.Join(err, os.RemoveAll(r.Dir))
}

// newSocketDir makes a folder for sockets that only this user may enter, and removes those that programs which were killed have left.
func newSocketDir(prefix string) (string, error) {
	sweepSocketDirs(prefix)
	return os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid()))
}

func sweepSocketDirs(prefix string) {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		n, err := strconv.Atoi(pid)
		if err == nil && n > 0 && errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir) // another user's stays
		}
	}
}
