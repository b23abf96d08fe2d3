package dump

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/definitions"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

func (f *Filter) isEmpty() bool {
	return len(f.Schemas)+len(f.ExcludeSchemas)+len(f.Tables)+len(f.ExcludeTables)+len(f.ExcludeTableData) == 0
}

// writeCatalog adds what a restored database can be held against. A part of a
// database gets none: what was left out would look as if it were missing. The
// archive is whole without it, so that a server which keeps something of its catalogs
// to itself does not fail the dump.
func (w *writer) writeCatalog(ctx context.Context, d *archive.DirectoryWriter) error {
	c, err := w.catalog(ctx)
	var server *pgconn.PgError
	if errors.As(err, &server) && ctx.Err() == nil {
		w.Reporter.Report(progress.Warning{Object: "catalog", Text: fmt.Sprintf("not recorded, so that a drill cannot compare definitions: %v", err)})
		return nil
	}
	if err != nil {
		return err
	}
	return d.Catalog(ctx, c)
}

// catalog reads the catalogs in the snapshot.
func (w *writer) catalog(ctx context.Context) (*archive.Catalog, error) {
	conn, err := w.snapshot.Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer session.HangUp(ctx, conn)
	c := &archive.Catalog{Image: w.From.Image}
	if err := conn.QueryRow(ctx, `SELECT rolname::text FROM pg_catalog.pg_roles WHERE oid = 10`).Scan(&c.Superuser); err != nil {
		return nil, fmt.Errorf("ask for the server's first role: %w", err)
	}
	if c.Collations, err = catalog.CollationVersions(ctx, conn); err != nil {
		return nil, err
	}
	c.Objects, err = definitions.Read(ctx, conn)
	return c, err
}
