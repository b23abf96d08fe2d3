package conninfo

import (
	"context"
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

const canImpersonate = true

// dial connects as the peer. A unix socket carries the credentials of the
// thread that connected it, so only that thread changes its own, and only
// for the while.
func (p *Peer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// The thread is not given back to the runtime if it could not be
		// restored: a goroutine that ends while locked ends its thread.
		runtime.LockOSThread()
		if err := setThread(p.UID, p.GID); err != nil {
			done <- result{nil, fmt.Errorf("become user %d: %w", p.UID, err)}
			return
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		if setThread(0, 0) == nil {
			runtime.UnlockOSThread()
		}
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// setThread sets the effective ids of the calling thread only, which the
// functions of package syscall would set for all of them.
func setThread(uid, gid uint32) error {
	const keep = ^uintptr(0)
	ids := []struct {
		call uintptr
		id   uint32
	}{{unix.SYS_SETRESGID, gid}, {unix.SYS_SETRESUID, uid}}
	if uid == 0 { // the user first: only root may set its group
		ids[0], ids[1] = ids[1], ids[0]
	}
	for _, s := range ids {
		if _, _, errno := unix.RawSyscall(s.call, keep, uintptr(s.id), keep); errno != 0 {
			return errno
		}
	}
	return nil
}
