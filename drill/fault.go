package drill

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/preflight"
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

// blame marks an error that is not the backup's fault: one of the server's own troubles, of the connection to
// it, of a disk, of what the server lacks.
func (d *drill) blame(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return infrastructure(err)
	}
	if aliveErr := d.server.Alive(ctx); aliveErr != nil {
		return infrastructure(errors.Join(aliveErr, err))
	}
	if !isTrouble(err) {
		return err
	}
	if _, answered := errors.AsType[*pgconn.PgError](err); !answered {
		err = errors.Join(d.lastWords(ctx), err)
	}
	return infrastructure(err)
}

// lastWords waits a moment for the end of a server whose connections broke: it says why.
func (d *drill) lastWords(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := d.server.Alive(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// isTrouble recognizes errors of machines and connections.
func isTrouble(err error) bool {
	if isDamage(err) {
		return false
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch server.Code[:2] {
		case "53", "57", "58": // resources are insufficient, an operator intervened, the system failed
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*preflight.Error](err); ok {
		return true // such as an extension that the image lacks
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
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// isDamage recognizes what is wrong with the backup itself.
func isDamage(err error) bool {
	if _, ok := errors.AsType[*archive.CorruptError](err); ok {
		return true
	}
	_, ok := errors.AsType[*archive.VersionError](err)
	return ok || errors.Is(err, archive.ErrNotArchive)
}
