package copywire

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// outBuffer is the size of the one buffer a stream reads into. The server's
// socket buffers are smaller, so a larger one is never filled.
const outBuffer = 256 << 10

// outBuffers are kept for the next stream: a database may have thousands of small tables.
var outBuffers = sync.Pool{New: func() any { return new([outBuffer]byte) }}

// A Sink takes the frames of a COPY as they come from a server: CopyData
// messages, headers included, cut anywhere. It must not keep p.
type Sink interface {
	Forward(p []byte) error
}

// Out runs sql, a COPY ... TO STDOUT, on conn and forwards its rows to sink. A
// nil sink drops them, for a read that only hashes. hash, if not nil, is fed
// with every row. Memory does not depend on the size of a row.
//
// The row count of the result is the server's own and is checked against
// hash. After an error of the server conn is usable again, unless it was the
// server's last word; after any other error, the sink's and the end of ctx
// included, it is closed.
func Out(ctx context.Context, conn *pgconn.PgConn, sql string, sink Sink, hash *RowHash) (Tally, error) {
	socket, stop, err := raw(ctx, conn)
	if err != nil {
		return Tally{}, err
	}
	buf := outBuffers.Get().(*[outBuffer]byte)
	defer outBuffers.Put(buf)
	o := &out{socket: socket, sink: sink, hash: hash, buf: buf[:]}
	if err = sendQuery(socket, sql); err == nil {
		err = o.run()
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		abandon(ctx, conn)
		if o.failure != nil && ctx.Err() == nil {
			return o.tally, o.failure // says more than that the server hung up
		}
		return o.tally, cause(ctx, err)
	}
	if o.failure != nil {
		return o.tally, o.failure
	}
	if !o.complete {
		return o.tally, fmt.Errorf("the server ended %q without a row count", sql)
	}
	if hash != nil {
		o.tally.Hash = hash.Sum
		if hash.Rows != o.tally.Rows {
			return o.tally, fmt.Errorf("the server counted %d rows but sent %d", o.tally.Rows, hash.Rows)
		}
	}
	return o.tally, nil
}

type out struct {
	socket net.Conn
	sink   Sink
	hash   *RowHash
	buf    []byte

	filled    int  // buf[:filled] holds bytes that were read
	remaining int  // bytes of the current CopyData message still to come
	ready     bool // ReadyForQuery was met

	control []byte // a message other than CopyData, being gathered
	want    int    // its whole length, header included

	complete bool
	failure  error // what the server reported
	tally    Tally
}

func (o *out) run() error {
	for !o.ready {
		n, err := o.socket.Read(o.buf[o.filled:])
		o.filled += n
		if n > 0 {
			if err := o.consume(); err != nil {
				return err
			}
		}
		if err != nil && !o.ready {
			return err
		}
	}
	return nil
}

// consume works through buf. What it leaves for the next read is at most a cut
// header.
func (o *out) consume() error {
	p := o.buf[:o.filled]
	i, frames := 0, 0 // frames is where the CopyData messages not yet forwarded start
	for i < len(p) {
		switch {
		case o.want > 0:
			n := min(o.want-len(o.control), len(p)-i)
			o.control = append(o.control, p[i:i+n]...)
			i += n
			frames = i
			if len(o.control) == o.want {
				if err := o.handle(o.control[0], o.control[headerLen:]); err != nil {
					return err
				}
				o.control, o.want = o.control[:0], 0
			}
		case o.remaining > 0:
			n := min(o.remaining, len(p)-i)
			o.remaining -= n
			o.tally.Bytes += int64(n)
			if o.hash != nil {
				o.hash.write(p[i:i+n], o.remaining == 0)
			}
			i += n
		case len(p)-i < headerLen:
			err := o.forward(p[frames:i])
			o.filled = copy(o.buf, p[i:])
			return err
		default:
			if next := o.hop(p, i); next > i {
				i = next
				continue
			}
			length, err := bodyLen(p[i:])
			if err != nil {
				return err
			}
			if p[i] == msgCopyData {
				i += headerLen
				o.remaining = length
				if length == 0 && o.hash != nil {
					o.hash.write(nil, true)
				}
				continue
			}
			if err := o.forward(p[frames:i]); err != nil {
				return err
			}
			if length > maxControlMessage {
				return fmt.Errorf("message %q of %d bytes", p[i], length)
			}
			o.want = headerLen + length
		}
	}
	o.filled = 0
	return o.forward(p[frames:i])
}

// hop goes over the CopyData messages that begin at i and lie in p whole, which nearly
// all do.
func (o *out) hop(p []byte, i int) int {
	for len(p)-i >= headerLen && p[i] == msgCopyData {
		length := int(binary.BigEndian.Uint32(p[i+1:])) - 4
		end := i + headerLen + length
		if length < 0 || end > len(p) {
			break
		}
		o.tally.Bytes += int64(length)
		if o.hash != nil {
			o.hash.write(p[i+headerLen:end], true)
		}
		i = end
	}
	return i
}

func (o *out) forward(p []byte) error {
	if len(p) == 0 || o.sink == nil {
		return nil
	}
	return o.sink.Forward(p)
}

func (o *out) handle(kind byte, body []byte) (err error) {
	switch kind {
	case msgCommandComplete:
		o.tally.Rows, err = copyRows(body)
		o.complete = err == nil
	case msgError:
		o.failure = serverError(body)
	case msgReady:
		o.ready = true
	case msgCopyOut, msgCopyDone, msgNotice, msgNotification, msgParameterStatus:
	default:
		err = fmt.Errorf("unexpected message %q in COPY TO STDOUT", kind)
	}
	return err
}
