package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ObjectID names an object of a database: the catalog it is in, and its OID there.
type ObjectID struct{ Catalog, OID uint32 }

// IndexSizes returns the bytes of every index of the database, by the index and by
// the constraint that it is the index of.
func IndexSizes(ctx context.Context, conn *pgx.Conn) (map[ObjectID]int64, error) {
	rows, err := conn.Query(ctx, `
WITH sizes AS (
  SELECT c.oid, pg_catalog.pg_relation_size(c.oid) AS bytes
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid, oid, bytes FROM sizes WHERE bytes IS NOT NULL
UNION ALL
SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass::oid, k.oid, s.bytes
FROM pg_catalog.pg_constraint k JOIN sizes s ON s.oid = k.conindid
WHERE k.contype IN ('p', 'u', 'x') AND s.bytes IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("read the sizes of indexes: %w", err)
	}
	sizes := map[ObjectID]int64{}
	var id ObjectID
	var bytes int64
	if _, err := pgx.ForEachRow(rows, []any{&id.Catalog, &id.OID, &bytes}, func() error {
		sizes[id] = bytes
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the sizes of indexes: %w", err)
	}
	return sizes, nil
}
