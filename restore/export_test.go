package restore

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

// AutoFrom changes the size from which FastLoadAuto changes settings, and returns what puts it back.
func AutoFrom(size int64) (undo func()) {
	was := autoFrom
	autoFrom = size
	return func() { autoFrom = was }
}

// AtOnce runs steps in one round trip. It returns how many statements of each succeeded, and their errors.
func AtOnce(ctx context.Context, conn *pgconn.PgConn, steps ...[]string) (succeeded []int, errs []error) {
	for _, a := range atOnce(ctx, conn, steps) {
		succeeded, errs = append(succeeded, len(a.results)), append(errs, a.err)
	}
	return succeeded, errs
}
