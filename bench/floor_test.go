//go:build bench

package bench_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/internal/catalog"
)

// floor is what the servers take if nothing but their own work is done: each
// table goes into a file in memory by COPY and out of it again, two sessions at a
// time and the largest first; then two sessions build indexes and keys, then the
// foreign keys and ANALYZE.
func (f *field) floor(t *testing.T, db string) {
	f.dst.Exec(t, db, strings.Join(f.src.Rows(t, db, `SELECT format('CREATE TABLE %I (%s);', c.relname, string_agg(format('%I %s %s', a.attname,
  format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE '' END), ', ' ORDER BY a.attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY c.oid, c.relname`), "\n"))
	tables := f.src.Rows(t, db, `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY pg_table_size(oid) DESC`)
	twoAtATime(tables, func(table string) {
		file, name := catalog.Literal(filepath.Join(f.exchange, table)), catalog.Quote(table)
		f.src.Exec(t, db, "COPY "+name+" TO "+file+" WITH (FORMAT binary)")
		f.dst.Exec(t, db, "BEGIN; TRUNCATE "+name+"; COPY "+name+" FROM "+file+" WITH (FORMAT binary, FREEZE); COMMIT")
	})
	const settings = "SET maintenance_work_mem = '512MB'; SET max_parallel_maintenance_workers = 0; "
	indexes := f.src.Rows(t, db, `SELECT CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
  ELSE format('ALTER TABLE %I ADD CONSTRAINT %I %s', c.relname, k.conname, pg_get_constraintdef(k.oid)) END
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u')
WHERE c.relnamespace = 'public'::regnamespace ORDER BY pg_relation_size(i.indexrelid) DESC`)
	twoAtATime(indexes, func(sql string) { f.dst.Exec(t, db, settings+sql) })
	last := f.src.Rows(t, db, `SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE contype = 'f'`)
	for _, table := range tables {
		last = append(last, "ANALYZE "+catalog.Quote(table))
	}
	twoAtATime(last, func(sql string) { f.dst.Exec(t, db, settings+sql) })
}

func twoAtATime(items []string, do func(string)) {
	var g errgroup.Group
	g.SetLimit(2)
	for _, item := range items {
		g.Go(func() error {
			do(item)
			return nil
		})
	}
	_ = g.Wait() // do fails the test by itself
}
