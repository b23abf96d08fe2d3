package session

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
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
