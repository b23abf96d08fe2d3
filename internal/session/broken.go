package session

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Ends recognizes what a server says to a session that it ends, or cannot serve, whatever was asked.
func Ends(err *pgconn.PgError) bool {
	switch err.Code {
	case "57P01", "57P02", "57P03": // it is shut down, has crashed, is starting
		return true
	}
	return strings.HasPrefix(err.Code, "08") || strings.HasPrefix(err.Code, "53")
}

// IsBroken recognizes a connection that is no more, or could not be made.
func IsBroken(err error) bool {
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return Ends(server) && !strings.HasPrefix(server.Code, "53")
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err) || // nothing was sent: the connection was closed before
		errors.Is(err, ErrUnreachable) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
