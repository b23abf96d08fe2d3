package restore

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/progress"
)

// setSequences sets the sequences' values, after all that could use them.
func (r *run) setSequences(ctx context.Context) error {
	if len(r.plan.sequences) == 0 {
		return nil
	}
	w, err := r.newWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	if done, err := w.inMessages(ctx, r.plan.sequences); err == nil {
		w.count(done...)
		return nil
	}
	// To set one twice does no harm, and tells which is to blame.
	for _, e := range r.plan.sequences {
		if err := w.tolerate(e, w.entry(ctx, e)); err != nil {
			return err
		}
	}
	return nil
}

// inParallel runs do for every item, each worker with a session of its own.
func inParallel[T any](ctx context.Context, r *run, items []T, do func(context.Context, *worker, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(r.Jobs, len(items)) {
		g.Go(func() error {
			w, err := r.newWorker(ctx)
			if err != nil {
				return err
			}
			defer w.close(ctx)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(items) {
					return nil
				}
				if err := do(ctx, w, items[i]); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// verify checks that every planned table was stored and, if asked, reads the
// target again and compares what it holds with what the source sent.
func (r *run) verify(ctx context.Context) error {
	var groups []*readBackGroup
	bySQL := map[string]*readBackGroup{}
	for _, e := range r.plan.parallel {
		if e.Desc != archive.DescTableData {
			continue
		}
		stored, found := r.tables.byEntry[e.ID]
		if r.isRefused(e.ID) {
			continue
		}
		if !found {
			return fmt.Errorf("table %s.%s was planned but not copied", e.Namespace.String, e.Tag)
		}
		r.result.Tables = append(r.result.Tables, stored)
		if !r.VerifyData || !e.CopyStmt.Valid {
			continue
		}
		sql, err := ReadBack(e, r.Source.Condition(e), r.Source.Binary(e))
		if err != nil {
			return fmt.Errorf("verify table %s: %w", stored.Name, err)
		}
		// Partitions that went in through their root are compared as one:
		// the target may keep a row in another of them.
		group := bySQL[sql]
		if group == nil {
			group = &readBackGroup{name: stored.Name, sql: sql, binary: r.Source.Binary(e)}
			bySQL[sql] = group
			groups = append(groups, group)
		}
		group.rows += stored.Rows
		group.hash += stored.Hash
	}
	return inParallel(ctx, r, groups, func(ctx context.Context, w *worker, group *readBackGroup) error {
		return group.check(ctx, w)
	})
}

// readBackGroup is what one read of the target must give.
type readBackGroup struct {
	name   string
	sql    string
	binary bool
	rows   int64
	hash   uint64
}

func (g *readBackGroup) check(ctx context.Context, w *worker) error {
	w.Reporter.Report(progress.UnitStart{Phase: progress.Verify, Object: g.name})
	tally, err := copywire.Out(ctx, w.conn.PgConn(), g.sql, nil, copywire.NewRowHash(g.binary))
	switch {
	case err != nil:
		return fmt.Errorf("verify table %s: %w", g.name, err)
	case tally.Rows != g.rows:
		return fmt.Errorf("verify table %s: the source sent %d rows, the target holds %d", g.name, g.rows, tally.Rows)
	case tally.Hash != g.hash:
		return fmt.Errorf("verify table %s: the target's rows differ from those the source sent", g.name)
	}
	w.Reporter.Report(progress.UnitEnd{Phase: progress.Verify, Object: g.name, Rows: tally.Rows, Bytes: tally.Bytes})
	return nil
}
