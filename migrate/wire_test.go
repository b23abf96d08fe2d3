package migrate_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// A wire is an address that leads to a server and shows a test every statement
// on its way there. It stops time, in effect: a statement waits while the test
// does what it wants to do at that very moment.
type wire struct {
	server   *pgtest.Server
	listener net.Listener
	dial     func() (net.Conn, error) // until the wire is closed
	hangUp   context.CancelFunc
	cancels  chan struct{} // gets one for every request to cancel that has gone by

	mu      sync.Mutex
	watch   func(sql string) (after func())
	sockets map[net.Conn]bool
}

// openWire leads to server until the test ends.
func openWire(t testing.TB, server *pgtest.Server) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(context.Background())
	w := &wire{server: server, listener: listener, hangUp: hangUp, cancels: make(chan struct{}, 100), sockets: map[net.Conn]bool{}}
	w.dial = func() (net.Conn, error) {
		config := server.Config("postgres")
		return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(config.Host, itoa(int(config.Port))))
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		w.serve()
	}()
	t.Cleanup(func() {
		w.close()
		<-served
	})
	return w
}

// url is the URI of a database over the wire.
func (w *wire) url(t testing.TB, db string) string {
	t.Helper()
	u, err := url.Parse(w.server.URL(db))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = w.listener.Addr().String()
	return u.String()
}

// onSQL calls watch before a statement goes to the server, and what it returns,
// if anything, after. Sessions call it side by side.
func (w *wire) onSQL(watch func(sql string) (after func())) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watch = watch
}

// close is the end of the wire: whoever knocks is turned away at once.
func (w *wire) close() {
	w.hangUp()
	_ = w.listener.Close()
	w.cut()
}

// cut ends every session that goes over the wire, as a broken cable would.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for socket := range w.sockets {
		_ = socket.Close()
	}
}

func (w *wire) serve() {
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		sessions.Go(func() { w.session(client) })
	}
}

// session carries one connection in both directions until either side closes it.
func (w *wire) session(client net.Conn) {
	defer client.Close()
	server, err := w.dial()
	if err != nil {
		return
	}
	defer server.Close()
	w.mu.Lock()
	w.sockets[client], w.sockets[server] = true, true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.sockets, client)
		delete(w.sockets, server)
	}()
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	w.requests(client, server)
	_ = server.Close()
	<-answers
}

// requests passes on what a client sends, message by message.
func (w *wire) requests(client, server net.Conn) {
	r := bufio.NewReaderSize(client, 64<<10)
	// The first message, a startup or a request to cancel, has no type.
	head, err := r.Peek(8)
	if err != nil {
		return
	}
	cancels := binary.BigEndian.Uint32(head[4:]) == 80877102
	if _, err := io.CopyN(server, r, int64(binary.BigEndian.Uint32(head))); err != nil {
		return
	}
	if cancels {
		w.cancels <- struct{}{}
	}
	for {
		head, err := r.Peek(5)
		if err != nil {
			return
		}
		kind, length := head[0], 1+int64(binary.BigEndian.Uint32(head[1:]))
		if kind != 'Q' && kind != 'P' {
			if _, err := io.CopyN(server, r, length); err != nil {
				return
			}
			continue
		}
		message := make([]byte, length)
		if _, err := io.ReadFull(r, message); err != nil {
			return
		}
		after := w.seen(statement(message))
		if _, err := server.Write(message); err != nil {
			return
		}
		after()
	}
}

// statement is the SQL of a simple query, or of a Parse message.
func statement(message []byte) string {
	body := message[5:]
	if message[0] == 'P' {
		_, body, _ = bytes.Cut(body, []byte{0})
	}
	sql, _, _ := bytes.Cut(body, []byte{0})
	return string(sql)
}

func (w *wire) seen(sql string) (after func()) {
	w.mu.Lock()
	watch := w.watch
	w.mu.Unlock()
	if watch != nil {
		if after := watch(sql); after != nil {
			return after
		}
	}
	return func() {}
}

// at calls do once, when statements that hold these words have gone over the
// wire one after the other: before the server gets the last, or just after.
func (w *wire) at(after bool, words []string, do func()) {
	var mu sync.Mutex
	last := func(sql string) bool {
		mu.Lock()
		defer mu.Unlock()
		if len(words) == 0 || !strings.Contains(sql, words[0]) {
			return false
		}
		words = words[1:]
		return len(words) == 0
	}
	w.onSQL(func(sql string) func() {
		switch {
		case !last(sql):
			return nil
		case after:
			return do
		}
		do()
		return nil
	})
}
