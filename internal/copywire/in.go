package copywire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// inBuffer gathers small writes into CopyData messages.
const inBuffer = 128 << 10

// In is a running COPY ... FROM STDIN. One goroutine at a time may use it, and
// must end it with Finish or Abort.
type In struct {
	ctx    context.Context // of the whole COPY; its end interrupts every call
	conn   *pgconn.PgConn
	socket net.Conn
	stop   func() bool
	reader *bufio.Reader
	buf    *bufio.Writer // frames made by Write; nil until then
	cut    bool          // a frame that was begun may lack its end
	deaf   bool          // the socket took no more

	answered atomic.Bool // the server reported a failure, or hung up
	done     chan struct{}
	rows     int64    // valid after done, as are the next three
	complete bool     // the server confirmed the COPY
	failure  error    // what the server reported
	broken   error    // the connection's own error
	warnings []string // notices of the server, the first of them
	unheard  int      // notices that were too many
}

// maxWarnings bounds the notices that are kept: a trigger may have one for
// every row.
const maxWarnings = 20

// OpenIn runs sql, a COPY ... FROM STDIN, on conn, which belongs to the
// returned In until Finish or Abort. After an error of the server conn is
// usable again; after any other it is closed.
func OpenIn(ctx context.Context, conn *pgconn.PgConn, sql string) (*In, error) {
	socket, stop, err := raw(ctx, conn)
	if err != nil {
		return nil, err
	}
	in := &In{ctx: ctx, conn: conn, socket: socket, stop: stop, done: make(chan struct{}),
		reader: bufio.NewReaderSize(socket, 4<<10)}
	started := false
	if err = sendQuery(socket, sql); err == nil {
		started, err = in.await(msgCopyIn)
	}
	if err == nil && started {
		go in.listen()
		return in, nil
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	switch {
	case err != nil:
		abandon(ctx, conn)
		if in.failure != nil && ctx.Err() == nil {
			return nil, in.failure // says more than that the server hung up
		}
		return nil, cause(ctx, err)
	case in.failure != nil:
		return nil, in.failure
	}
	return nil, fmt.Errorf("%q is no COPY FROM STDIN", sql)
}

// listen reads the server's answer while rows are being sent, so that a
// failure stops the sender early.
func (in *In) listen() {
	defer close(in.done)
	_, in.broken = in.await(msgReady)
	in.answered.Store(true)
}

// await reads messages up to the one named, or to the ReadyForQuery that
// comes instead. found says that it was the one named.
func (in *In) await(want byte) (found bool, err error) {
	var header [headerLen]byte
	for {
		if _, err := io.ReadFull(in.reader, header[:]); err != nil {
			return false, err
		}
		length, err := bodyLen(header[:])
		if err != nil {
			return false, err
		}
		if length > maxControlMessage {
			return false, fmt.Errorf("message %q of %d bytes", header[0], length)
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(in.reader, body); err != nil {
			return false, err
		}
		switch header[0] {
		case msgError:
			in.failure = serverError(body)
			in.answered.Store(true)
		case msgCommandComplete:
			if in.rows, err = copyRows(body); err != nil {
				return false, err
			}
			in.complete = true
		case msgNotice:
			if len(in.warnings) < maxWarnings {
				in.warnings = append(in.warnings, notice(body))
			} else {
				in.unheard++
			}
		case msgNotification, msgParameterStatus:
		case msgCopyIn, msgReady:
			if header[0] == want || header[0] == msgReady {
				return header[0] == want, nil
			}
		default:
			return false, fmt.Errorf("unexpected message %q in COPY FROM STDIN", header[0])
		}
	}
}

// errAnswered stops a sender; Finish and Abort know the server's own reason.
var errAnswered = errors.New("the server ended the COPY early")

// Forward sends frames as another server sent them.
func (in *In) Forward(p []byte) error {
	if in.answered.Load() {
		in.cut = true
		return errAnswered
	}
	_, err := in.socket.Write(p)
	in.deaf = err != nil
	return err
}

// Write sends COPY data, cut into messages of its own. It must not be mixed
// with Forward.
func (in *In) Write(p []byte) (int, error) {
	if in.answered.Load() {
		return 0, errAnswered
	}
	if in.buf == nil {
		in.buf = bufio.NewWriterSize(framer{in}, inBuffer)
	}
	return in.buf.Write(p)
}

// framer writes every buffer it is given as one CopyData message.
type framer struct{ in *In }

func (f framer) Write(p []byte) (int, error) {
	var header [headerLen]byte
	header[0] = msgCopyData
	binary.BigEndian.PutUint32(header[1:], uint32(4+len(p)))
	n, err := (&net.Buffers{header[:], p}).WriteTo(f.in.socket)
	f.in.deaf = err != nil
	return max(0, int(n)-headerLen), err
}

// Finish ends the COPY and returns the rows the server stored. After an error
// of the server the connection is usable again, unless a call of Forward met
// it; after any other it is closed. If the context has ended, the server may
// have stored the rows all the same.
func (in *In) Finish() (rows int64, err error) {
	if in.buf != nil {
		err = in.buf.Flush()
	}
	if err == nil && !in.answered.Load() {
		_, err = in.socket.Write([]byte{msgCopyDone, 0, 0, 0, 4})
		in.deaf = err != nil
	}
	if err != nil && !in.answered.Load() {
		in.hangUp()
	}
	<-in.done
	return in.rows, in.close(err)
}

// Abort ends a COPY whose rows could not all be had. It returns the server's
// reason if that came first, else because; the connection is closed, and the
// server rolls the COPY back.
func (in *In) Abort(because error) error {
	in.hangUp()
	<-in.done
	in.stop()
	abandon(in.ctx, in.conn)
	if in.failure != nil && in.ctx.Err() == nil {
		return in.failure
	}
	switch {
	case in.ctx.Err() != nil:
		return context.Cause(in.ctx)
	case errors.Is(because, errAnswered) && in.broken != nil:
		return cause(in.ctx, in.broken)
	}
	return because // the end of an archive in its middle is not that of the connection
}

// lastWords bounds the wait for what a server said before it hung up.
const lastWords = time.Second

// hangUp makes the listener return. A CopyFail is no option: the last frame
// sent may be cut in its middle.
func (in *In) hangUp() {
	if in.deaf {
		_ = in.socket.SetReadDeadline(time.Now().Add(lastWords))
		return
	}
	_ = in.socket.Close()
}

func (in *In) close(sendErr error) error {
	if !in.stop() && sendErr == nil {
		sendErr = in.ctx.Err()
	}
	if in.cut || in.broken != nil || sendErr != nil {
		abandon(in.ctx, in.conn)
	}
	switch {
	case in.failure != nil && in.ctx.Err() == nil:
		return in.failure
	case sendErr != nil:
		return cause(in.ctx, sendErr)
	case in.broken != nil:
		return cause(in.ctx, in.broken)
	case in.failure != nil:
		return in.failure
	case !in.complete:
		return errors.New("the server ended the COPY without a row count")
	}
	return nil
}

// Warnings are the notices the server sent, the first of them if there are
// many. Valid after Finish or Abort.
func (in *In) Warnings() []string {
	if in.unheard == 0 {
		return in.warnings
	}
	return append(slices.Clip(in.warnings), fmt.Sprintf("%d more warnings", in.unheard))
}
