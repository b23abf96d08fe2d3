// Package copywire moves the rows of a COPY between PostgreSQL connections
// without holding a row in memory.
//
// A CopyData message has the same form in both directions (a type byte, a
// big-endian length that counts itself, the data), so rows that leave one
// server are forwarded to another as the buffers came from the socket: the
// relay hops from header to header and copies nothing. A server sends one
// CopyData message per row, in text and in binary format, which is what the
// row hash rests on; a client may cut messages anywhere.
//
// The protocol is described in the PostgreSQL documentation, "Message Flow:
// COPY Operations" and "Message Formats".
package copywire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Message types that the two directions of COPY can meet.
const (
	msgCopyData        = 'd'
	msgCopyDone        = 'c'
	msgCopyFail        = 'f'
	msgCopyIn          = 'G'
	msgCopyOut         = 'H'
	msgCommandComplete = 'C'
	msgReady           = 'Z'
	msgError           = 'E'
	msgNotice          = 'N'
	msgNotification    = 'A'
	msgParameterStatus = 'S'
	msgQuery           = 'Q'
)

// headerLen is the length of a message header: type byte and length.
const headerLen = 5

// maxControlMessage bounds every message that is not CopyData. Errors carry
// the offending line and context, which the server cuts to a few kB.
const maxControlMessage = 1 << 20

// cancelTimeout bounds the cancel request sent to a server when a context ends.
const cancelTimeout = 5 * time.Second

// Tally is what one COPY moved.
type Tally struct {
	Rows  int64  // as the server's command tag counts them
	Bytes int64  // of COPY data, without message headers
	Hash  uint64 // order-independent hash of the rows; see RowHash
}

// raw prepares conn for direct use and returns its socket. Until the returned
// stop function is called, the end of ctx interrupts reads and writes and asks
// the server to cancel what it is doing. stop reports whether that did not
// happen: if it did, the connection can only be closed.
func raw(ctx context.Context, conn *pgconn.PgConn) (socket net.Conn, stop func() bool, err error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	if err := conn.SyncConn(ctx); err != nil {
		return nil, nil, err
	}
	socket = conn.Conn()
	cancelled := make(chan struct{})
	unused := context.AfterFunc(ctx, func() {
		defer close(cancelled)
		cancelCtx, done := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
		defer done()
		// The deadline that follows ends the COPY here whether or not the
		// request arrives; the server then meets a closed connection.
		_ = conn.CancelRequest(cancelCtx)
		_ = socket.SetDeadline(time.Unix(1, 0))
	})
	return socket, func() bool {
		if unused() {
			return true
		}
		<-cancelled
		return false
	}, nil
}

// abandon closes a connection whose protocol state is lost.
func abandon(ctx context.Context, conn *pgconn.PgConn) {
	closeCtx, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer done()
	_ = conn.Close(closeCtx)
}

// cause prefers the reason a context ended over the I/O error that its end
// provoked.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF)
	}
	return err
}

func sendQuery(w io.Writer, sql string) error {
	if strings.IndexByte(sql, 0) >= 0 {
		return errors.New("statement holds a NUL byte")
	}
	msg := make([]byte, 0, headerLen+len(sql)+1)
	msg = append(msg, msgQuery)
	msg = binary.BigEndian.AppendUint32(msg, uint32(4+len(sql)+1))
	msg = append(msg, sql...)
	msg = append(msg, 0)
	_, err := w.Write(msg)
	return err
}

// bodyLen reads the length of the message that starts with header.
func bodyLen(header []byte) (int, error) {
	n := binary.BigEndian.Uint32(header[1:headerLen])
	if n < 4 || n > 1<<31-1 {
		return 0, fmt.Errorf("message %q of impossible length %d", header[0], n)
	}
	return int(n) - 4, nil
}

func serverError(body []byte) error {
	var msg pgproto3.ErrorResponse
	if err := msg.Decode(body); err != nil {
		return fmt.Errorf("read the server's error: %w", err)
	}
	return pgconn.ErrorResponseToPgError(&msg)
}

func notice(body []byte) string {
	var msg pgproto3.NoticeResponse
	if err := msg.Decode(body); err != nil {
		return "unreadable notice"
	}
	return msg.Severity + ": " + msg.Message
}

// copyRows reads the row count of a "COPY n" command tag.
func copyRows(body []byte) (int64, error) {
	tag := strings.TrimRight(string(body), "\x00")
	n, found := strings.CutPrefix(tag, "COPY ")
	if !found {
		return 0, fmt.Errorf("command tag %q where COPY was expected", tag)
	}
	return strconv.ParseInt(n, 10, 64)
}
