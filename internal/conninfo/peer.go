package conninfo

import (
	"context"
	"os"
	"os/user"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/session"
)

// Peer is an operating system user, for peer authentication.
type Peer struct{ UID, GID uint32 }

// AdoptPeer makes sessions over a unix socket come from the operating system
// user that has the database role's name, if the server asks for that and this
// process is root. Root needs it where only root may use the docker engine and
// only postgres may log in: there is no user that may do both.
//
// It tries one connection. Other failures than that of peer authentication are
// left to whoever connects next.
func (e *Endpoint) AdoptPeer(ctx context.Context) {
	if os.Geteuid() != 0 || e.SocketDir() == "" || !canImpersonate {
		return
	}
	conn, err := pgx.ConnectConfig(ctx, e.Config)
	if err == nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return
	}
	if !session.HasCode(err, "28000") {
		return
	}
	account, err := user.Lookup(e.Config.User)
	if err != nil {
		return // the server's own message says what it misses
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if uidErr != nil || gidErr != nil || uid == 0 {
		return
	}
	e.Peer = &Peer{UID: uint32(uid), GID: uint32(gid)}
	e.Config.DialFunc = e.Peer.dial
}
