package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/internal/session"
)

// errRejected ends a drill whose backup has failed a check that all others stand on.
var errRejected = errors.New("the backup was rejected")

// An infrastructureError says nothing about the backup: it is about what the drill needs.
type infrastructureError struct{ err error }

func (e *infrastructureError) Error() string { return e.err.Error() }
func (e *infrastructureError) Unwrap() error { return e.err }

func infrastructure(err error) error {
	if err == nil {
		return nil
	}
	return &infrastructureError{err}
}

func isInfrastructure(err error) bool {
	_, is := errors.AsType[*infrastructureError](err)
	return is
}

// blame marks an error that is not the backup's fault. The backup's are only its own damage, and what a server says that
// is, before and after, the very one that the drill has made: when it dies, sessions end with any error at all.
func (d *drill) blame(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return infrastructure(err)
	}
	if aliveErr := d.server.Alive(ctx); aliveErr != nil {
		return infrastructure(errors.Join(aliveErr, err))
	}
	if isTrouble(err) {
		if session.IsBroken(err) {
			err = errors.Join(d.lastWords(ctx), err)
		}
		return infrastructure(err)
	}
	if goneErr := d.gone(ctx); goneErr != nil {
		return infrastructure(errors.Join(goneErr, err))
	}
	return err
}

// gone says why the server cannot be the one that has made an error of a session that it cut: it has ended, or was started
// again. Nil is that it is still there.
func (d *drill) gone(ctx context.Context) error {
	if err := d.server.Alive(ctx); err != nil {
		return err
	}
	if err := d.sameServer(ctx); err != nil {
		return errors.Join(d.lastWords(ctx), err)
	}
	return nil
}

// lastWords waits a moment for the end of a server whose connections broke: it says why. The engine is the last to notice.
func (d *drill) lastWords(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := d.server.Alive(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sameServer returns nil if the server answers and is the one that the drill has made, never started again.
func (d *drill) sameServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := d.connect(ctx, "postgres")
	if err != nil {
		return fmt.Errorf("ask the server whether it lives: %w", err)
	}
	defer session.HangUp(ctx, conn)
	identity, err := identify(ctx, conn)
	if err != nil {
		return fmt.Errorf("ask the server whether it lives: %w", err)
	}
	if identity != d.identity {
		return errors.New("the server was started again while the drill ran")
	}
	return nil
}

// identify tells a server, and one start of it, from all others.
func identify(ctx context.Context, conn *pgx.Conn) (identity string, err error) {
	return identity, conn.QueryRow(ctx, `
SELECT pg_catalog.concat_ws(' ', system_identifier, pg_catalog.pg_postmaster_start_time()) FROM pg_catalog.pg_control_system()`).Scan(&identity)
}

// isTrouble recognizes errors of machines and connections.
func isTrouble(err error) bool {
	if isDamage(err) {
		return false
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch server.Code[:2] {
		case "08", "53", "57", "58": // a connection broke, resources are insufficient, an operator intervened, the system failed
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*preflight.Error](err); ok {
		return true // such as an extension that the image lacks
	}
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return true
	}
	return session.IsBroken(err)
}

// isDamage recognizes what is wrong with the backup itself.
func isDamage(err error) bool {
	if _, ok := errors.AsType[*archive.CorruptError](err); ok {
		return true
	}
	_, ok := errors.AsType[*archive.VersionError](err)
	return ok || errors.Is(err, archive.ErrNotArchive)
}
