package restore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// load brings in the rows and what depends on them: every worker takes the
// largest entry whose dependencies are done. Large objects come in their own
// order, beside.
func (r *run) load(ctx context.Context) error {
	if err := r.createLargeObjects(ctx); err != nil {
		return err
	}
	entries := r.plan.parallel
	source, sequential := r.Source.(inOrder)
	if sequential {
		if err := r.loadInOrder(ctx, source); err != nil {
			return err
		}
		entries = slices.DeleteFunc(slices.Clone(entries), (*archive.Entry).HasData)
	}
	statistics, err := r.analyzeEntries(ctx)
	if err != nil {
		return err
	}
	entries = slices.Concat(entries, statistics)
	entries = r.validateApart(entries, r.toc.MaxID()+1+len(statistics))
	g, groupCtx := errgroup.WithContext(ctx)
	q := newQueue(groupCtx, archive.NewGraph(r.toc, entries, r.cost), r.Resources.cpus())
	for _, e := range entries {
		if e.HasData() {
			q.rows++
		}
	}
	q.loaded = func() { g.Go(func() error { return r.flushRows(groupCtx) }) }
	if q.rows == 0 {
		q.loaded()
	}
	for range min(r.Jobs, len(entries)) {
		g.Go(func() error { return r.work(groupCtx, q) })
	}
	if r.plan.blobs && !sequential {
		g.Go(func() error { return r.fillLargeObjects(groupCtx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if left := q.graph.Len(); left != 0 {
		return fmt.Errorf("%d entries of the archive were not restored", left)
	}
	if r.filled != r.result.LargeObjects {
		return fmt.Errorf("%d large objects were created but %d filled", r.result.LargeObjects, r.filled)
	}
	if r.Confirm != nil {
		return r.Confirm(ctx)
	}
	return nil
}

// work restores entries until none is left.
func (r *run) work(ctx context.Context, q *queue) error {
	for {
		entries, helpers, err := q.next(ctx, r.isSmall)
		if len(entries) == 0 || err != nil {
			return err
		}
		if err := r.restore(ctx, entries, helpers); err != nil {
			return err
		}
		q.done(entries)
	}
}

// restore does one entry, or several small ones, in a session that it has for as long. Rows may need none.
func (r *run) restore(ctx context.Context, entries []*archive.Entry, helpers int) error {
	e := entries[0]
	if e.Desc == archive.DescTableData {
		return r.data(ctx, e)
	}
	w, err := r.newWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	switch {
	case len(entries) > 1:
		return w.batch(ctx, entries)
	case e.Desc == descAnalyze:
		return w.analyzeNow(ctx, e)
	}
	if err := w.prepare(ctx, e, helpers); err != nil {
		return fmt.Errorf("restore %s: %w", e.Name(), err)
	}
	return w.tolerate(e, w.postData(ctx, e))
}

// smallWork is what may share a transaction: the commit would take longer.
const smallWork = 1 << 20

// isSmall reports whether an entry is done in no time, and touches no more than the tables the
// graph knows of, so that holding its locks for a while is in nobody's way.
func (r *run) isSmall(e *archive.Entry) bool {
	switch e.Desc {
	case archive.DescIndex, archive.DescConstraint, archive.DescFKConstraint, "TRIGGER":
		return r.cost(e) < smallWork
	}
	return e.IsACL()
}

// batch restores small entries in one message, which is a transaction. If one of them fails none is there, and
// they are done again one by one: so the error is about the right one, and a tolerant run
// loses no other.
func (w *worker) batch(ctx context.Context, entries []*archive.Entry) error {
	start := time.Now()
	for _, e := range entries {
		w.Reporter.Report(progress.UnitStart{Phase: progress.PostData, Object: e.Name()})
	}
	done, err := w.inOneMessage(ctx, entries)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if w.conn.IsClosed() {
			return fmt.Errorf("restore %s and %d others: %w", entries[0].Name(), len(entries)-1, err)
		}
		for _, e := range entries {
			if err := w.tolerate(e, w.postData(ctx, e)); err != nil {
				return err
			}
		}
		return nil
	}
	w.count(done...)
	for _, e := range entries {
		w.Reporter.Report(progress.UnitEnd{Phase: progress.PostData, Object: e.Name(), Elapsed: time.Since(start)})
	}
	return nil
}

// data brings in the rows of a TABLE DATA entry.
func (r *run) data(ctx context.Context, e *archive.Entry) error {
	if len(e.Deps) > 0 && r.isRefused(e.Deps[0]) {
		return r.tolerate(e, errNoTable)
	}
	if e.CopyStmt.Valid {
		return r.tolerate(e, r.copyTable(ctx, e))
	}
	w, err := r.newWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	return r.tolerate(e, w.copyInserts(ctx, e))
}

// deadlockAttempts is how often an entry is tried that the server gives up for the sake of another session. Nothing
// of it is there then.
const deadlockAttempts = 4

// postData runs an entry that is SQL: an index, a constraint, a refresh.
func (w *worker) postData(ctx context.Context, e *archive.Entry) error {
	start := time.Now()
	w.Reporter.Report(progress.UnitStart{Phase: progress.PostData, Object: e.Name()})
	var err error
	for range deadlockAttempts {
		if err = w.entry(ctx, e); !session.HasCode(err, "40P01") {
			break
		}
	}
	if isSharedMemory(err) {
		// A container's /dev/shm is 64 MB unless it was told otherwise.
		w.Reporter.Report(progress.Warning{Object: e.Name(),
			Text:   "the target's shared memory is too small for a parallel plan; done again without",
			Remedy: "give the container a larger shm_size"})
		if err = w.exec(ctx, "SET max_parallel_workers_per_gather = 0; SET max_parallel_maintenance_workers = 0"); err == nil {
			w.helpers = 0
			err = w.entry(ctx, e)
		}
	}
	if err != nil {
		return err
	}
	w.Reporter.Report(progress.UnitEnd{Phase: progress.PostData, Object: e.Name(), Elapsed: time.Since(start)})
	return nil
}

// queue hands the entries of a graph to several workers.
type queue struct {
	mu      sync.Mutex
	moved   *sync.Cond // an entry is done, or the context
	graph   *archive.Graph
	cpus    int
	running int // units handed out

	rows   int    // entries with rows that are not done
	loaded func() // called when there are none left
}

func newQueue(ctx context.Context, graph *archive.Graph, cpus int) *queue {
	q := &queue{graph: graph, cpus: cpus}
	q.moved = sync.NewCond(&q.mu)
	context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.moved.Broadcast()
	})
	return q
}

// batchSize bounds the small entries that are handed out together: each takes a few locks.
const batchSize = 64

// next waits for an entry that may start, and takes others with it if they are small. It returns
// none when none is left. helpers is how many cores nobody has a use for meanwhile.
func (q *queue) next(ctx context.Context, small func(*archive.Entry) bool) (entries []*archive.Entry, helpers int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if ctx.Err() != nil {
			return nil, 0, context.Cause(ctx)
		}
		if q.graph.Len() == 0 {
			return nil, 0, nil
		}
		if e := q.graph.Next(); e != nil {
			entries = append(entries, e)
			break
		}
		q.moved.Wait()
	}
	if small(entries[0]) {
		ready := slices.DeleteFunc(q.graph.Ready(), func(e *archive.Entry) bool { return !small(e) })
		ready = ready[:min(batchSize, len(ready)/q.cpus)] // the others are left something
		for _, e := range ready {
			if q.graph.Start(e) {
				entries = append(entries, e)
			}
		}
	}
	if q.running++; q.running < q.cpus {
		helpers = max(0, q.cpus-q.running-len(q.graph.Ready()))
	}
	return entries, helpers, nil
}

func (q *queue) done(entries []*archive.Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running--
	for _, e := range entries {
		q.graph.Done(e)
		if e.HasData() {
			if q.rows--; q.rows == 0 {
				q.loaded()
			}
		}
	}
	q.moved.Broadcast()
}
