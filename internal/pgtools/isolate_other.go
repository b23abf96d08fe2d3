//go:build !unix

package pgtools

import (
	"errors"
	"os/exec"

	"github.com/pgberth/pgberth/internal/conninfo"
)

func isolate(_ *exec.Cmd, peer *conninfo.Peer) error {
	if peer != nil {
		return errors.ErrUnsupported
	}
	return nil
}
