package session

import (
	"context"
	"errors"
	"io"
	"net"
)

// Interrupted gives an error the end of ctx as its reason if all it says is
// that a server cancelled a statement as it was asked to, or that a connection
// broke off while everything was being ended.
func Interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	if isCancelled(err) || isBroken(err) {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

func isCancelled(err error) bool {
	const queryCanceled = "57014"
	return HasCode(err, queryCanceled)
}

func isBroken(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF)
}
