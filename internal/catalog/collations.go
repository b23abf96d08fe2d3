package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/session"
)

// CollationVersions returns the versions that the operating system's libraries now
// have for the database's own collation, under "", and for those that users
// created, by quoted name. A library without versions has none.
func CollationVersions(ctx context.Context, conn *pgx.Conn) (map[string]string, error) {
	sql := `
SELECT pg_catalog.format('%I.%I', n.nspname, c.collname), pg_catalog.pg_collation_actual_version(c.oid)
FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
WHERE c.collprovider <> 'd' AND n.nspname <> 'pg_catalog'`
	if session.Version(conn) >= 150000 {
		sql += `
UNION ALL
SELECT '', pg_catalog.pg_database_collation_actual_version(oid)
FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()`
	}
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("read the versions of collations: %w", err)
	}
	versions := map[string]string{}
	var name string
	var version *string
	if _, err := pgx.ForEachRow(rows, []any{&name, &version}, func() error {
		if version != nil {
			versions[name] = *version
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the versions of collations: %w", err)
	}
	return versions, nil
}
