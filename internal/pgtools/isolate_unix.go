//go:build unix

package pgtools

import (
	"os/exec"
	"syscall"

	"github.com/pgberth/pgberth/internal/conninfo"
)

// isolate makes cmd run apart from the terminal, whose Ctrl-C is for pgberth to
// deal with in order, and as another user if peer is not nil.
func isolate(cmd *exec.Cmd, peer *conninfo.Peer) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if peer != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: peer.UID, Gid: peer.GID}
	}
	return nil
}
