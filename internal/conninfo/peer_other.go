//go:build !linux

package conninfo

import (
	"context"
	"errors"
	"net"
)

const canImpersonate = false

func (p *Peer) dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}
