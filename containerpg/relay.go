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

	socket *relaySocket
}

// NeedsRelay says that programs of this machine cannot reach the server where
// [Server.ConnConfig] says it is.
func (s *Server) NeedsRelay() bool {
	return s.Path == ViaExec || s.Path == ViaSocket && !strings.HasPrefix(s.conn.Host, "/")
}

// Relay starts to listen.
func (s *Server) Relay() (*Relay, error) {
	port := int(s.conn.Port)
	socket, err := relay(fmt.Sprintf(".s.PGSQL.%d", port), func(ctx context.Context) (net.Conn, error) { return s.conn.DialFunc(ctx, "", "") })
	if err != nil {
		return nil, fmt.Errorf("make a socket that leads to container %q: %w", s.Name, err)
	}
	return &Relay{Dir: filepath.Dir(socket.path), Port: port, socket: socket}, nil
}

// Close ends every connection and removes the socket.
func (r *Relay) Close() error { return r.socket.close() }

// A relaySocket is a unix socket, in a folder of its own, that leads elsewhere.
type relaySocket struct {
	path     string
	listener net.Listener
	stop     context.CancelFunc
	streams  sync.WaitGroup
}

const relayPrefix = "pgberth-relay-"

// relay leads every connection to a socket of that name to one that is dialed for it.
func relay(name string, dial func(context.Context) (net.Conn, error)) (*relaySocket, error) {
	dir, err := newSocketDir(relayPrefix)
	if err != nil {
		return nil, err
	}
	s := &relaySocket{path: filepath.Join(dir, name)}
	if s.listener, err = net.Listen("unix", s.path); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.streams.Go(func() { s.serve(ctx, dial) })
	return s, nil
}

func (s *relaySocket) serve(ctx context.Context, dial func(context.Context) (net.Conn, error)) {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return // close closes it
		}
		s.streams.Go(func() {
			defer client.Close()
			server, err := dial(ctx)
			if err != nil {
				return // the client says that the server closed the connection
			}
			join(ctx, client, server)
		})
	}
}

// close ends every connection and removes the socket.
func (s *relaySocket) close() error {
	err := s.listener.Close()
	s.stop()
	s.streams.Wait()
	return errors.Join(err, os.RemoveAll(filepath.Dir(s.path)))
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
