//go:build bench

package bench_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A line is a wire between two machines: all connections through it share its rate, and each byte is under way for the
// delay. The two directions do not disturb each other.
type line struct {
	rate  float64 // bytes a second, each way
	delay time.Duration
	to    string // address that it leads to

	carried *atomic.Int64 // bytes both ways
}

// open listens on the loopback address until the test ends.
func (l line) open(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	there, back := &direction{line: l}, &direction{line: l}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", l.to)
			if err != nil {
				near.Close()
				continue
			}
			// No more than the line holds waits before it, as where a congestion window grows with the delay.
			for _, end := range []net.Conn{near, far} {
				_ = end.(*net.TCPConn).SetReadBuffer(256 << 10)
			}
			go there.carry(far.(*net.TCPConn), near.(*net.TCPConn))
			go back.carry(near.(*net.TCPConn), far.(*net.TCPConn))
		}
	}()
	return listener.Addr().String()
}

// A direction is one of a line's two.
type direction struct {
	line
	mu   sync.Mutex
	free time.Time // when the line has taken what was given to it
}

const burst = 10 * time.Millisecond

// take answers when n bytes have left.
func (d *direction) take(n int) time.Time {
	d.carried.Add(int64(n))
	d.mu.Lock()
	defer d.mu.Unlock()
	// Who comes a little late, as sleepers do, loses nothing of the rate: tc's tbf calls that a burst.
	if late := time.Now().Add(-burst); d.free.Before(late) {
		d.free = late
	}
	d.free = d.free.Add(time.Duration(float64(n) / d.rate * float64(time.Second)))
	return d.free
}

type packet struct {
	data    []byte
	arrives time.Time
}

// carry takes bytes as the line has room for them, and delivers each when its time has come.
func (d *direction) carry(dst, src *net.TCPConn) {
	underway := make(chan packet, 1024) // more than the line holds: what is taken has left already
	go func() {
		defer close(underway)
		for {
			data := make([]byte, 16<<10)
			n, err := src.Read(data)
			if n > 0 {
				came, left := time.Now(), d.take(n)
				if left.Before(came) {
					left = came
				}
				time.Sleep(time.Until(left))
				underway <- packet{data[:n], left.Add(d.delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range underway {
		time.Sleep(time.Until(p.arrives))
		if _, err := dst.Write(p.data); err != nil {
			src.Close()
			go func() { // until the reader has noticed
				for range underway {
				}
			}()
			return
		}
	}
	if err := dst.CloseWrite(); err != nil && err != io.EOF {
		dst.Close()
	}
}
