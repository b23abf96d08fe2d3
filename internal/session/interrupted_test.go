package session_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/session"
)

func TestInterrupted(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	answer := fmt.Errorf("copy: %w", &pgconn.PgError{Code: "57014"})
	for name, test := range map[string]struct {
		ctx         context.Context
		err         error
		interrupted bool
	}{
		"the server's answer":      {canceled, answer, true},
		"nobody asked":             {t.Context(), answer, false},
		"another failure":          {canceled, errors.New("disk full"), false},
		"done":                     {canceled, nil, false},
		"the reason is there":      {canceled, context.Canceled, true},
		"a broken connection":      {canceled, &net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		"a connection broke":       {t.Context(), &net.OpError{Op: "read", Err: syscall.ECONNRESET}, false},
		"another server's failure": {canceled, &pgconn.PgError{Code: "53100"}, false},
	} {
		if err := session.Interrupted(test.ctx, test.err); errors.Is(err, context.Canceled) != test.interrupted || (err == nil) != (test.err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
