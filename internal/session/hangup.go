package session

import (
	"context"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// hangUpTimeout bounds the wait for a server to take note. Tests shorten it.
var hangUpTimeout = 5 * time.Second

// HangUp ends a session that is no longer needed, and with it its transaction,
// whether ctx has ended or not. A server that does not answer is not waited for: it
// notices a client that leaves without a word just as well. Nil is no session.
func HangUp(ctx context.Context, conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}

// Leave is HangUp that waits until the server has ended the session too: one that is about to end is still in the
// way of who renames or drops its database, and makes him wait for 100 ms.
func Leave(ctx context.Context, conn *pgx.Conn) {
	hijacked, err := conn.PgConn().Hijack()
	if err != nil { // it is closed, or in the middle of something
		HangUp(ctx, conn)
		return
	}
	defer hijacked.Conn.Close()
	if err := hijacked.Conn.SetDeadline(time.Now().Add(hangUpTimeout)); err != nil {
		return
	}
	hijacked.Frontend.Send(&pgproto3.Terminate{})
	if hijacked.Frontend.Flush() == nil {
		_, _ = io.Copy(io.Discard, hijacked.Conn)
	}
}
