package catalog

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgberth/pgberth/internal/session"
)

// Table is a relation with rows of its own: an ordinary table, a partition
// without partitions, or a configuration table of an extension.
type Table struct {
	OID          uint32
	Schema, Name string
	Columns      []string // that COPY carries: live and not generated
	Bytes        int64    // of the table and its TOAST, as the server stores them
	Pages        int64    // of the table itself, if it can be read by ranges of pages, else 0
	Binary       bool     // binary COPY means the same on every server

	// RootSchema and RootName, if set, name the partitioned table the rows
	// must be loaded through, since the target may keep them in other
	// partitions: enum values hash by OIDs that differ between databases.
	RootSchema, RootName string

	// Extension is set for configuration tables, whose rows are those
	// Condition ("WHERE ...", or empty for all) selects.
	Extension, Condition string

	// Readable says whether the current role may read it.
	Readable bool
	// RowSecurity says that policies hide rows from the current role.
	RowSecurity bool
	// Absent says that the server is a standby and the table unlogged: its rows
	// are on the primary only.
	Absent bool
}

// QualifiedName is the table's name for messages.
func (t *Table) QualifiedName() string { return t.Schema + "." + t.Name }

// ViaRoot reports whether the rows are loaded through the partitioned table.
func (t *Table) ViaRoot() bool { return t.RootName != "" }

// CopyOut is the statement that sends the table's rows.
func (t *Table) CopyOut() string {
	format := ""
	if t.Binary {
		format = " WITH (FORMAT binary)"
	}
	if t.Condition == "" {
		return "COPY " + QuoteQualified(t.Schema, t.Name) + t.columnList() + " TO STDOUT" + format
	}
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = Quote(c)
	}
	return fmt.Sprintf("COPY (SELECT %s FROM %s %s) TO STDOUT%s",
		strings.Join(columns, ", "), QuoteQualified(t.Schema, t.Name), t.Condition, format)
}

// CopyParts returns statements that together send the table's rows, each those
// of a range of pages: at most n, and fewer if the table is small. A table is
// only cut where the server can scan a range of pages without the others.
func (t *Table) CopyParts(n int) []string {
	const pagesAPart = 1024 // 8 MB, below which a further stream costs more than it brings
	n = min(n, int(t.Pages/pagesAPart))
	if n < 2 {
		return []string{t.CopyOut()}
	}
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = Quote(c)
	}
	format := ""
	if t.Binary {
		format = " WITH (FORMAT binary)"
	}
	parts := make([]string, n)
	for i := range parts {
		where := fmt.Sprintf("ctid >= '(%d,0)'", t.Pages*int64(i)/int64(n))
		if i < n-1 { // the last part is open: pages may have come since
			where += fmt.Sprintf(" AND ctid < '(%d,0)'", t.Pages*int64(i+1)/int64(n))
		}
		parts[i] = fmt.Sprintf("COPY (SELECT %s FROM ONLY %s WHERE %s) TO STDOUT%s",
			strings.Join(columns, ", "), QuoteQualified(t.Schema, t.Name), where, format)
	}
	return parts
}

// CopyIn is the statement that stores the rows, as an archive has it.
func (t *Table) CopyIn() string {
	schema, name := t.Schema, t.Name
	if t.ViaRoot() {
		schema, name = t.RootSchema, t.RootName
	}
	columns := t.columnList()
	if columns == "" {
		columns = " " // pg_dump writes two blanks
	}
	return "COPY " + QuoteQualified(schema, name) + columns + " FROM stdin;\n"
}

func (t *Table) columnList() string {
	if len(t.Columns) == 0 {
		return ""
	}
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = Quote(c)
	}
	return " (" + strings.Join(columns, ", ") + ")"
}

// Quote writes a name as an SQL identifier.
func Quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// QuoteQualified writes a schema-qualified name.
func QuoteQualified(schema, name string) string { return pgx.Identifier{schema, name}.Sanitize() }

// tablesQuery reads every table with rows. Hash partitions whose key's
// operator class depends on the OIDs of types (enums, and arrays, ranges and
// records that may hold them) are the ones loaded via their root.
const tablesQuery = `
WITH unsafe AS (
  SELECT p.partrelid FROM pg_catalog.pg_partitioned_table p
  WHERE p.partstrat = 'h' AND EXISTS (
    SELECT 1 FROM pg_catalog.unnest(p.partclass) k(oid)
    JOIN pg_catalog.pg_opclass o ON o.oid = k.oid
    WHERE o.opcname IN ('enum_ops', 'array_ops', 'record_ops', 'range_ops', 'multirange_ops'))
), config AS (
  SELECT e.extname, x.oid, x.condition
  FROM pg_catalog.pg_extension e
  CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) AS x(oid, condition)
)
SELECT c.oid, n.nspname::text, c.relname::text,
  COALESCE((SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '{}'),
  COALESCE((SELECT pg_catalog.array_agg(a.atttypid ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '{}'),
  COALESCE(pg_catalog.pg_table_size(c.oid), 0),
  CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 140000 AND config.oid IS NULL
    AND EXISTS (SELECT 1 FROM pg_catalog.pg_am a WHERE a.oid = c.relam AND a.amhandler = 'pg_catalog.heap_tableam_handler'::pg_catalog.regproc)
    THEN COALESCE(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::int ELSE 0 END,
  COALESCE(rn.nspname::text, ''), COALESCE(r.relname::text, ''),
  COALESCE(config.extname::text, ''), COALESCE(config.condition, ''),
  pg_catalog.has_table_privilege(c.oid, 'SELECT')
    OR (pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AND NOT EXISTS (
      SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attgenerated = '' AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT'))),
  pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE'),
  c.relrowsecurity AND pg_catalog.row_security_active(c.oid),
  c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN config ON config.oid = c.oid
LEFT JOIN pg_catalog.pg_class r ON c.relispartition AND r.oid = pg_catalog.pg_partition_root(c.oid)
  AND EXISTS (SELECT 1 FROM pg_catalog.pg_partition_ancestors(c.oid) x(oid) JOIN unsafe ON unsafe.partrelid = x.oid)
LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (config.oid IS NOT NULL OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'))
ORDER BY c.oid`

// Tables returns every table of the database that has rows of its own, apart
// from system tables, temporary tables and extensions' tables without
// configuration.
func Tables(ctx context.Context, conn *pgx.Conn) ([]*Table, error) {
	types, err := baseTypes(ctx, conn)
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, tablesQuery, session.Arrays)
	if err != nil {
		return nil, fmt.Errorf("read the tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Table, error) {
		t := &Table{}
		var columnTypes []uint32
		var schemaUsage bool
		err := row.Scan(&t.OID, &t.Schema, &t.Name, &t.Columns, &columnTypes, &t.Bytes, &t.Pages,
			&t.RootSchema, &t.RootName, &t.Extension, &t.Condition, &t.Readable, &schemaUsage, &t.RowSecurity, &t.Absent)
		t.Readable = t.Readable && schemaUsage
		for i, oid := range columnTypes {
			columnTypes[i] = types.base(oid)
		}
		t.Binary = BinarySafe(columnTypes)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the tables: %w", err)
	}
	return tables, nil
}

// typeMap maps types made by users to a type that looks the same in a binary
// COPY: a domain to its base type, an enum to text (its labels are sent).
type typeMap map[uint32]uint32

func (m typeMap) base(oid uint32) uint32 {
	for range 64 { // domains nest, but not in circles
		next, found := m[oid]
		if !found {
			break
		}
		oid = next
	}
	return oid
}

func baseTypes(ctx context.Context, conn *pgx.Conn) (typeMap, error) {
	rows, err := conn.Query(ctx, `SELECT oid, typtype = 'e', typbasetype FROM pg_catalog.pg_type WHERE typtype IN ('d', 'e')`)
	if err != nil {
		return nil, fmt.Errorf("read the types: %w", err)
	}
	types := typeMap{}
	var oid, base uint32
	var isEnum bool
	_, err = pgx.ForEachRow(rows, []any{&oid, &isEnum, &base}, func() error {
		if isEnum {
			base = pgtype.TextOID
		}
		types[oid] = base
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the types: %w", err)
	}
	return types, nil
}
