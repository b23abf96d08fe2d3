package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Matview is a materialized view.
type Matview struct {
	OID          uint32
	Schema, Name string
	Populated    bool
	Uses         []uint32 // OIDs of the materialized views it reads, through views too
}

// RefreshSQL fills the view.
func (m *Matview) RefreshSQL() string {
	return "REFRESH MATERIALIZED VIEW " + QuoteQualified(m.Schema, m.Name) + ";\n"
}

// matviewsQuery follows the rewrite rules' dependencies through views.
const matviewsQuery = `
WITH RECURSIVE used AS (
  SELECT c.oid AS matview, d.refobjid AS relation
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> c.oid
  WHERE c.relkind = 'm'
  UNION
  SELECT used.matview, d.refobjid
  FROM used
  JOIN pg_catalog.pg_class v ON v.oid = used.relation AND v.relkind = 'v'
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> v.oid
)
SELECT c.oid, n.nspname::text, c.relname::text, c.relispopulated,
  COALESCE((SELECT pg_catalog.array_agg(DISTINCT u.oid) FROM used
    JOIN pg_catalog.pg_class u ON u.oid = used.relation AND u.relkind = 'm' WHERE used.matview = c.oid), '{}')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY c.oid`

// Matviews returns every materialized view of the database.
func Matviews(ctx context.Context, conn *pgx.Conn) ([]*Matview, error) {
	rows, err := conn.Query(ctx, matviewsQuery)
	if err != nil {
		return nil, fmt.Errorf("read the materialized views: %w", err)
	}
	views, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Matview, error) {
		m := &Matview{}
		return m, row.Scan(&m.OID, &m.Schema, &m.Name, &m.Populated, &m.Uses)
	})
	if err != nil {
		return nil, fmt.Errorf("read the materialized views: %w", err)
	}
	return views, nil
}
