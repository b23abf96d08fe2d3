//go:build !linux

package containerpg

import (
	"context"
	"errors"
	"net"
)

// Containers are on this machine only where it runs Linux.
func onThisMachine(int, string) bool { return false }

func dialInside(context.Context, int, string, string) (net.Conn, error) {
	return nil, errors.New("a container's own file system is reached on Linux only")
}
