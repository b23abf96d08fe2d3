package drill

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

// rowsUnit is what one read of the restored database must give: the rows of a table, or of all partitions that went in
// through the same one.
type rowsUnit struct {
	name   string
	sql    string
	rows   int64
	hash   uint64
	hashed bool // hash is known

	got copywire.Tally
}

// checkRows reads all rows again and compares their numbers and hashes with those taken from the source's stream.
func (d *drill) checkRows(ctx context.Context, conn *pgx.Conn) error {
	units, err := d.rowsUnits(ctx, conn)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := d.readRows(ctx, units); err != nil {
		return err
	}
	counts := Check{Name: "row counts", Title: "Exact number of rows of every table", Status: OK, Elapsed: time.Since(start)}
	hashes := Check{Name: "row hashes", Title: "Contents of every row, by hash", Status: OK} // of the same reading
	var want, got int64
	hashed := 0
	for _, u := range units {
		want += u.rows
		got += u.got.Rows
		switch {
		case u.got.Rows != u.rows:
			counts.fail("", fmt.Sprintf("table %s has %s, was %s", u.name, human.Count(u.got.Rows, "row", "rows"), human.Thousands(u.rows)))
		case !u.hashed:
		case u.got.Hash != u.hash:
			hashes.fail("", fmt.Sprintf("table %s: its rows are not those of the source: hash %016x, was %016x", u.name, u.got.Hash, u.hash))
			hashed++
		default:
			hashed++
		}
	}
	counts.Expected = human.Count(want, "row", "rows") + " in " + human.Count(len(units), "table", "tables")
	counts.Found = human.Count(got, "row", "rows")
	d.report.add(counts)
	hashes.Expected = human.Count(hashed, "table", "tables") + " as in the dump's snapshot"
	switch {
	case hashed == 0 && len(units) > 0 && counts.Status == OK:
		hashes.skip("the backup records no hashes")
	case hashes.Status == Bad:
		hashes.Found = human.Count(hashes.problems(), "table differs", "tables differ")
	default:
		hashes.Found = "the same"
	}
	d.report.add(hashes)
	return nil
}

// rowsUnits plans the reading. An archive without a manifest has the numbers that were restored.
func (d *drill) rowsUnits(ctx context.Context, conn *pgx.Conn) ([]*rowsUnit, error) {
	conditions, err := extensionTables(ctx, conn)
	if err != nil {
		return nil, err
	}
	stored := map[string]int64{}
	for _, t := range d.restored.Tables {
		stored[t.Name] = t.Rows
	}
	var units []*rowsUnit
	bySQL := map[string]*rowsUnit{}
	for _, e := range d.source.archive.TOC().Find(archive.DescTableData) {
		if !e.CopyStmt.Valid {
			continue // INSERT statements
		}
		name := e.Namespace.String + "." + e.Tag
		sql, err := restore.ReadBack(e, conditions[name], false)
		if err != nil {
			return nil, err
		}
		u := bySQL[sql]
		if u == nil {
			u = &rowsUnit{name: name, sql: sql, hashed: true}
			bySQL[sql] = u
			units = append(units, u)
		}
		if m := d.source.manifest(); m != nil && m.Table(e.ID) != nil {
			t := m.Table(e.ID)
			hash, err := strconv.ParseUint(t.Hash, 16, 64)
			u.rows, u.hash, u.hashed = u.rows+t.Rows, u.hash+hash, u.hashed && err == nil
		} else {
			u.rows, u.hashed = u.rows+stored[name], false
		}
	}
	return units, nil
}

// extensionTables are the conditions that select the users' rows in the configuration tables of extensions.
func extensionTables(ctx context.Context, conn *pgx.Conn) (map[string]string, error) {
	rows, err := conn.Query(ctx, `
SELECT n.nspname || '.' || c.relname, COALESCE(e.extcondition[k.i], '')
FROM pg_catalog.pg_extension e
CROSS JOIN LATERAL pg_catalog.generate_subscripts(e.extconfig, 1) AS k(i)
JOIN pg_catalog.pg_class c ON c.oid = e.extconfig[k.i]
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`)
	if err != nil {
		return nil, fmt.Errorf("list the extensions' tables: %w", err)
	}
	conditions := map[string]string{}
	var name, condition string
	_, err = pgx.ForEachRow(rows, []any{&name, &condition}, func() error {
		conditions[name] = condition
		return nil
	})
	return conditions, err
}

// readRows reads every unit over a few sessions, each unit whole.
func (d *drill) readRows(ctx context.Context, units []*rowsUnit) error {
	jobs := d.Jobs
	if jobs <= 0 {
		jobs = min(8, max(2, runtime.NumCPU()))
	}
	group, ctx := errgroup.WithContext(ctx)
	var mu sync.Mutex
	next := 0
	take := func() *rowsUnit {
		mu.Lock()
		defer mu.Unlock()
		if next == len(units) {
			return nil
		}
		next++
		return units[next-1]
	}
	for range min(jobs, len(units)) {
		group.Go(func() error {
			conn, err := d.connect(ctx, d.database)
			if err != nil {
				return err
			}
			defer session.HangUp(ctx, conn)
			// The text that was hashed is in the source's encoding.
			if _, err := conn.Exec(ctx, "SET client_encoding = "+archive.QuoteLiteral(d.source.archive.TOC().Encoding())); err != nil {
				return err
			}
			for u := take(); u != nil; u = take() {
				if u.got, err = d.readUnit(ctx, conn, u); err != nil {
					return fmt.Errorf("read table %s: %w", u.name, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// readUnit reads the rows of a unit. A table that is not there, which another check says, has none.
func (d *drill) readUnit(ctx context.Context, conn *pgx.Conn, u *rowsUnit) (copywire.Tally, error) {
	start := time.Now()
	d.Reporter.Report(progress.UnitStart{Phase: PhaseChecks, Object: u.name})
	tally, err := copywire.Out(ctx, conn.PgConn(), u.sql, nil, copywire.NewRowHash(false))
	if isMissing(err) {
		return copywire.Tally{}, nil
	}
	if err == nil {
		d.Reporter.Report(progress.UnitEnd{Phase: PhaseChecks, Object: u.name, Rows: tally.Rows, Bytes: tally.Bytes, Elapsed: time.Since(start)})
	}
	return tally, err
}
