package restore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/progress"
)

// descAnalyze is the type of an entry that no archive holds: the statistics of a
// table with many rows, gathered as soon as its indexes are there.
const descAnalyze = "ANALYZE"

// analyzeEntries are what is to be analyzed while other tables are still loading:
// every table whose rows come now and are many, with its partitions. Its indexes need not be
// there, but for those of expressions, of which there are statistics too. The rest is left to
// the phase of that name.
func (r *run) analyzeEntries(ctx context.Context) ([]*archive.Entry, error) {
	if r.plan.bytes < freezeFrom {
		return nil, nil // no table has many
	}
	families, err := r.families(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[[2]string]int{}
	for _, e := range r.plan.preData {
		if e.Desc == archive.DescTable {
			byName[[2]string{e.Namespace.String, e.Tag}] = e.ID
		}
	}
	next := r.toc.MaxID() + 1
	var entries []*archive.Entry
	for _, f := range families {
		e := &archive.Entry{ID: next, Desc: descAnalyze, Section: archive.SectionPostData, Tag: f.name, Defn: archive.String("ANALYZE " + f.name)}
		known := true
		for _, member := range f.members {
			id, found := byName[member]
			known = known && found
			e.Deps = append(e.Deps, id)
		}
		if !known || r.rowsOf(e) < freezeFrom {
			continue
		}
		e.Deps = append(e.Deps, r.measured(e.Deps)...)
		entries = append(entries, e)
		next++
	}
	return entries, nil
}

// measured are the entries that decide what ANALYZE finds out of tables: indexes of expressions,
// and statistics that were asked for. Where there are several tables it waits for all indexes,
// which are attached to each other.
func (r *run) measured(tables []int) []int {
	about := slices.Clone(tables)
	for _, e := range r.plan.parallel {
		switch e.Desc {
		case archive.DescIndex, archive.DescConstraint, "INDEX ATTACH", "STATISTICS":
			wanted := len(tables) > 1 || e.Desc == "STATISTICS" || ofExpression(e.Defn.String)
			if wanted && slices.ContainsFunc(e.Deps, func(id int) bool { return slices.Contains(about, id) }) {
				about = append(about, e.ID)
			}
		}
	}
	return about[len(tables):]
}

// ofExpression reports whether an index, or the one of a constraint, may be of an expression: whether
// there are parentheses within those of its columns. An operator class may have some too.
func ofExpression(definition string) bool {
	open := columnList(definition)
	if open < 0 {
		return false
	}
	next := strings.IndexAny(definition[open+1:], "()")
	return next >= 0 && definition[open+1+next] == '('
}

// A family is a table with its partitions, and whatever else inherits from it.
type family struct {
	name    string // as SQL has it
	members [][2]string
}

// families are the tables of the database being filled that ANALYZE is told of: that of a
// partitioned table covers its partitions.
func (r *run) families(ctx context.Context) ([]family, error) {
	w, err := r.newWorker(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close(ctx)
	rows, err := w.conn.Query(ctx, `
WITH RECURSIVE member(root, oid) AS (
  SELECT c.oid, c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  UNION
  SELECT m.root, i.inhrelid FROM member m JOIN pg_catalog.pg_inherits i ON i.inhparent = m.oid
)
SELECT pg_catalog.format('%I.%I', rn.nspname, r.relname), n.nspname::text, c.relname::text
FROM member m
JOIN pg_catalog.pg_class r ON r.oid = m.root JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
JOIN pg_catalog.pg_class c ON c.oid = m.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY m.root, m.oid`)
	if err != nil {
		return nil, fmt.Errorf("list the tables to analyze: %w", err)
	}
	var families []family
	var name string
	var member [2]string
	if _, err := pgx.ForEachRow(rows, []any{&name, &member[0], &member[1]}, func() error {
		if n := len(families); n == 0 || families[n-1].name != name {
			families = append(families, family{name: name})
		}
		last := &families[len(families)-1]
		last.members = append(last.members, member)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list the tables to analyze: %w", err)
	}
	return families, nil
}

// analyzeNow gathers the statistics of a table that is done.
func (w *worker) analyzeNow(ctx context.Context, e *archive.Entry) error {
	if err := w.analyzeTables(ctx, e.Tag); err != nil {
		return err
	}
	w.tables.mu.Lock()
	defer w.tables.mu.Unlock()
	w.analyzed[e.Tag] = true
	return nil
}

func (w *worker) analyzeTables(ctx context.Context, tables ...string) error {
	names := strings.Join(tables, ", ")
	start := time.Now()
	w.Reporter.Report(progress.UnitStart{Phase: progress.Analyze, Object: names})
	if err := w.exec(ctx, "ANALYZE "+names); err != nil {
		return fmt.Errorf("analyze %s: %w", names, err)
	}
	w.Reporter.Report(progress.UnitEnd{Phase: progress.Analyze, Object: names, Elapsed: time.Since(start)})
	return nil
}

// analyzeBatch is how many tables of few rows share a statement.
const analyzeBatch = 50

// analyze gathers the statistics that are still missing, so that the first queries after the
// swap are planned well: of materialized views and of tables with few rows, which are many
// to a statement.
func (r *run) analyze(ctx context.Context) error {
	w, err := r.newWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	rows, err := w.conn.Query(ctx, `
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY c.relpages DESC, c.oid`)
	if err != nil {
		return fmt.Errorf("list the tables to analyze: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list the tables to analyze: %w", err)
	}
	tables = slices.DeleteFunc(tables, func(name string) bool { return r.analyzed[name] })
	batch := min(analyzeBatch, max(1, len(tables)/(4*r.Jobs)))
	return inParallel(ctx, r, slices.Collect(slices.Chunk(tables, batch)), func(ctx context.Context, w *worker, tables []string) error {
		err := w.analyzeTables(ctx, tables...)
		for i := 0; err != nil && i < len(tables) && len(tables) > 1 && ctx.Err() == nil; i++ {
			if err := w.analyzeTables(ctx, tables[i]); err != nil {
				return err // which names the table
			}
		}
		return err
	})
}
