package compare

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/definitions"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// largeObjectsAtOnce is how many large objects one unit compares.
const largeObjectsAtOnce = 10000

// A unit is compared at one go by one worker: a table, or a range of large
// objects.
type unit struct {
	kind, object string
	bytes        int64 // to be read, an estimate
	binary       bool
	from, to     string // the COPY of each side
	contents     string // or the query for contents of large objects
	count        int    // of those on the From side
}

// compareRows compares what tables and large objects hold, largest first.
func (c *comparison) compareRows(ctx context.Context) error {
	units, err := c.units(ctx)
	if err != nil {
		return err
	}
	var bytes int64
	for _, u := range units {
		bytes += u.bytes
	}
	slices.SortFunc(units, func(a, b *unit) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.object, b.object))
	})
	started := time.Now()
	c.opts.Reporter.Report(progress.PhaseStart{Phase: PhaseRows, Units: len(units), Bytes: bytes})

	r := &rowReport{}
	queue := make(chan *unit)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(queue)
		for _, u := range units {
			select {
			case queue <- u:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range min(c.opts.Jobs, len(units)) {
		group.Go(func() error { return c.work(ctx, queue, r) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.SortFunc(r.differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(b.Kind, a.Kind), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Aspect, b.Aspect))
	})
	c.report.Differences = append(c.report.Differences, r.differences...)
	c.report.Tables, c.report.LargeObjects = r.tables, r.largeObjects
	c.report.Rows, c.report.Bytes = r.rows, r.bytes
	c.opts.Reporter.Report(progress.PhaseEnd{Phase: PhaseRows, Units: len(units), Bytes: r.bytes, Elapsed: time.Since(started)})
	return nil
}

// units plans what the workers do.
func (c *comparison) units(ctx context.Context) ([]*unit, error) {
	from, err := c.pair.from.tables(ctx)
	if err != nil {
		return nil, err
	}
	to, err := c.pair.to.tables(ctx)
	if err != nil {
		return nil, err
	}
	binary := c.pair.from.endpoint.Wire == nil && c.pair.to.endpoint.Wire == nil // a wire takes rows apart at their line breaks
	var units []*unit
	for _, t := range readable(from) {
		// A table that the other side lacks, or whose matview it has not
		// filled, is a difference already.
		other := to[t.name]
		if other == nil || other.kind != t.kind || !t.populated || !other.populated {
			continue
		}
		units = append(units, rowsUnit(t, other, binary))
	}
	objects, err := c.largeObjectUnits(ctx)
	return append(units, objects...), err
}

// largeObjectUnits cuts the OIDs of large objects into ranges that hold about
// the same number of them.
func (c *comparison) largeObjectUnits(ctx context.Context) ([]*unit, error) {
	var size int64 // with what was deleted, and readable by everybody
	if err := c.pair.from.leader.QueryRow(ctx, `SELECT pg_relation_size('pg_largeobject')`).Scan(&size); err != nil {
		return nil, err
	}
	const sql = `SELECT oid::bigint FROM pg_largeobject_metadata ORDER BY oid`
	rows, err := c.pair.from.leader.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	oids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list the large objects of %s: %w", c.pair.from.endpoint.Name, err)
	}
	query := definitions.LargeObjectContents()
	var units []*unit
	for chunk := range slices.Chunk(oids, largeObjectsAtOnce) {
		first, last := chunk[0], chunk[len(chunk)-1]
		object := fmt.Sprintf("%d..%d", first, last)
		if first == last {
			object = strconv.FormatInt(first, 10)
		}
		units = append(units, &unit{
			kind: "large objects", object: object, count: len(chunk),
			contents: fmt.Sprintf(query, first, last), bytes: size * int64(len(chunk)) / int64(len(oids)),
		})
	}
	return units, nil
}

// rowReport gathers what the workers find.
type rowReport struct {
	mu           sync.Mutex
	differences  []Difference
	tables       int
	largeObjects int
	rows, bytes  int64
}

// work compares units over a session to either side until none is left.
func (c *comparison) work(ctx context.Context, queue <-chan *unit, r *rowReport) error {
	from, err := c.pair.from.open(ctx)
	if err != nil {
		return fmt.Errorf("compare %s: %w", c.pair.from.endpoint.Name, err)
	}
	defer session.HangUp(ctx, from)
	to, err := c.pair.to.open(ctx)
	if err != nil {
		return fmt.Errorf("compare %s: %w", c.pair.to.endpoint.Name, err)
	}
	defer session.HangUp(ctx, to)
	for u := range queue {
		started := time.Now()
		c.opts.Reporter.Report(progress.UnitStart{Phase: PhaseRows, Object: u.object, Bytes: u.bytes})
		tally, err := c.unit(ctx, u, from, to, r)
		if err != nil {
			return fmt.Errorf("compare %s %s: %w", u.kind, u.object, err)
		}
		c.opts.Reporter.Report(progress.UnitEnd{
			Phase: PhaseRows, Object: u.object, Rows: tally.Rows, Bytes: tally.Bytes, Elapsed: time.Since(started),
		})
	}
	return nil
}

func (c *comparison) unit(ctx context.Context, u *unit, from, to *pgx.Conn, r *rowReport) (copywire.Tally, error) {
	if u.contents != "" {
		m := merge{pair: c.pair, gone: c.gone, facts: true}
		if err := m.run(ctx, from, to, u.contents, u.contents); err != nil {
			return copywire.Tally{}, err
		}
		c.opts.Reporter.Report(progress.UnitBytes{Phase: PhaseRows, Object: u.object, N: u.bytes})
		r.mu.Lock()
		defer r.mu.Unlock()
		r.differences = append(r.differences, m.differences...)
		r.largeObjects += u.count
		return copywire.Tally{}, nil
	}
	a, b, err := c.hashRows(ctx, u, from, to)
	if err != nil {
		return a, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tables++
	r.rows += a.Rows
	r.bytes += a.Bytes
	d := Difference{Kind: u.kind, Object: u.object}
	switch {
	case a.Rows != b.Rows:
		d.Aspect, d.From, d.To = "row count", strconv.FormatInt(a.Rows, 10), strconv.FormatInt(b.Rows, 10)
	case a.Hash != b.Hash:
		d.Aspect, d.From, d.To = "rows", fmt.Sprintf("hash %016x", a.Hash), fmt.Sprintf("hash %016x", b.Hash)
	default:
		return a, nil
	}
	r.differences = append(r.differences, d)
	return a, nil
}

// hashRows streams a table from both sides at once.
func (c *comparison) hashRows(ctx context.Context, u *unit, from, to *pgx.Conn) (a, b copywire.Tally, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		meter := meter{c.opts.Reporter, u.object}
		if a, err = c.pair.from.out(ctx, from, u, u.from, meter); err != nil {
			err = fmt.Errorf("read %s: %w", c.pair.from.endpoint.Name, err)
		}
		return err
	})
	group.Go(func() (err error) {
		if b, err = c.pair.to.out(ctx, to, u, u.to, nil); err != nil {
			err = fmt.Errorf("read %s: %w", c.pair.to.endpoint.Name, err)
		}
		return err
	})
	return a, b, group.Wait()
}

// meter reports bytes as they arrive and keeps none of them.
type meter struct {
	reporter progress.Reporter
	object   string
}

func (m meter) Forward(p []byte) error {
	m.reporter.Report(progress.UnitBytes{Phase: PhaseRows, Object: m.object, N: int64(len(p))})
	return nil
}
