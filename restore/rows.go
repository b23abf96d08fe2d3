package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
)

// freezeFrom is the size from which a table is truncated and filled in one
// transaction, so that its rows are frozen as they come: they never have to be
// written again by a vacuum. Below it the new file costs more than it saves.
const freezeFrom = 1 << 20

// copyTable brings in the rows of a TABLE DATA entry and checks their number.
// A table that is a large part of all the rows comes in several streams.
func (r *run) copyTable(ctx context.Context, e *archive.Entry) (err error) {
	name := e.Namespace.String + "." + e.Tag
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("copy table %s: %w", name, describe(err))
		}
	}()
	start := time.Now()
	r.Reporter.Report(progress.UnitStart{Phase: progress.Rows, Object: name, Bytes: r.Source.Size(e)})
	streams, err := r.Source.Streams(ctx, e, r.share(e))
	if err != nil {
		return err
	}
	load := tableLoad{name: name, entry: e, freeze: len(streams) == 1 && r.Source.Size(e) >= freezeFrom && r.ownTable(e)}
	g, groupCtx := errgroup.WithContext(ctx)
	for _, stream := range streams {
		g.Go(func() error { return r.copyStream(groupCtx, &load, stream) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := r.compare(e, load.total); err != nil {
		return err
	}
	r.count(e)
	r.tables.add(e, TableResult{Name: name, Rows: load.total.Rows, Bytes: load.total.Bytes, Hash: load.total.Hash})
	r.Reporter.Report(progress.UnitEnd{Phase: progress.Rows, Object: name,
		Rows: load.total.Rows, Bytes: load.total.Bytes, Elapsed: time.Since(start)})
	return nil
}

// share is how many streams a table gets: as many of the workers as its part
// of all the rows.
func (r *run) share(e *archive.Entry) int {
	if r.plan.bytes == 0 {
		return 1
	}
	return int((r.Source.Size(e)*int64(r.Jobs) + r.plan.bytes/2) / r.plan.bytes)
}

// compare holds what was stored against what the archive promised.
func (r *run) compare(e *archive.Entry, got copywire.Tally) error {
	rows, hash, known := r.Source.Expected(e)
	switch {
	case !known:
		return nil
	case got.Rows != rows:
		return fmt.Errorf("%d rows were stored, the archive's manifest says %d", got.Rows, rows)
	case got.Hash != hash:
		return errors.New("the rows are not those the archive's manifest has a hash of")
	}
	return nil
}

// tableLoad is a table on its way in.
type tableLoad struct {
	name   string
	entry  *archive.Entry
	freeze bool

	mu    sync.Mutex
	total copywire.Tally
}

// copyStream brings in one stream of a table's rows: in a session, or on the target's wire, which has sessions of
// its own.
func (r *run) copyStream(ctx context.Context, load *tableLoad, stream Stream) error {
	e, binary := load.entry, r.Source.Binary(load.entry)
	sql, truncate := copyIn(e, binary, load.freeze), ""
	if load.freeze {
		truncate = "TRUNCATE TABLE ONLY " + quoteTable(e)
	}
	if wire := r.wire(e); wire != nil {
		in, err := wire.OpenIn(ctx, copywire.Copy{
			Database: r.database, Begin: truncate, SQL: sql, Binary: binary,
			Setup: session.Settings(r.Target.Version, session.Options{Encoding: r.toc.Encoding(), Setup: r.setup(archive.NewSession(r.toc, r.Archive))}),
		})
		if err != nil {
			return err
		}
		return r.send(ctx, load, stream, in)
	}
	w, err := r.newWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close(ctx)
	if load.freeze {
		if err := w.exec(ctx, "BEGIN; "+truncate); err != nil {
			return err
		}
	}
	in, err := copywire.OpenIn(ctx, w.conn.PgConn(), sql)
	if err != nil {
		return err
	}
	if err := r.send(ctx, load, stream, in); err != nil || !load.freeze {
		return err
	}
	return w.exec(ctx, "COMMIT")
}

// send copies a stream's rows into a COPY that has begun, and ends it.
func (r *run) send(ctx context.Context, load *tableLoad, stream Stream, in copywire.Rows) error {
	var hash *copywire.RowHash
	if _, _, known := r.Source.Expected(load.entry); known || r.VerifyData {
		hash = copywire.NewRowHash(r.Source.Binary(load.entry))
	}
	meter := &meter{run: r, in: in, object: load.name}
	sent, err := stream(ctx, meter, hash)
	if err != nil {
		return in.Abort(err)
	}
	stored, err := in.Finish()
	meter.flush()
	for _, text := range in.Warnings() {
		r.Reporter.Report(progress.Warning{Object: "table " + load.name, Text: text})
	}
	if err != nil {
		return err
	}
	if stored != sent.Rows {
		return fmt.Errorf("%d rows were sent, the target stored %d", sent.Rows, stored)
	}
	load.mu.Lock()
	defer load.mu.Unlock()
	load.total.Rows += stored
	load.total.Bytes += sent.Bytes
	load.total.Hash += sent.Hash
	return nil
}

// wire is what carries the rows of an entry, or nil for a session.
func (r *run) wire(e *archive.Entry) copywire.Wire {
	if r.Source.Size(e) < copywire.WireFrom {
		return nil
	}
	return r.Target.endpoint.Wire
}

// ownTable reports whether the entry's rows are all there is in a table this
// run created, so that it may be truncated.
func (r *run) ownTable(e *archive.Entry) bool {
	if e.LoadsViaRoot() || len(e.Deps) == 0 || len(r.toc.TableData(e.Deps[0])) != 1 {
		return false
	}
	table := r.toc.ByID(e.Deps[0])
	return table != nil && table.Desc == archive.DescTable && slices.Contains(r.plan.preData, table)
}

func quoteTable(e *archive.Entry) string {
	if e.Namespace.String == "" {
		return archive.QuoteIdent(e.Tag)
	}
	return archive.QuoteIdent(e.Namespace.String) + "." + archive.QuoteIdent(e.Tag)
}

// copyIn is the entry's COPY statement with options.
func copyIn(e *archive.Entry, binary, freeze bool) string {
	var options []string
	if binary {
		options = append(options, "FORMAT binary")
	}
	if freeze {
		options = append(options, "FREEZE true")
	}
	sql := strings.TrimRight(e.CopyStmt.String, "; \n")
	if len(options) > 0 {
		sql += " WITH (" + strings.Join(options, ", ") + ")"
	}
	return sql
}

// ReadBack is the COPY statement that sends the rows a TABLE DATA entry stored. Entries whose rows went in through
// another table than their own, partitions, share one. condition selects the rows of an extension's table.
func ReadBack(e *archive.Entry, condition string, binary bool) (string, error) {
	from, found := strings.CutSuffix(strings.TrimRight(e.CopyStmt.String, "; \n"), " FROM stdin")
	table, found2 := strings.CutPrefix(from, "COPY ")
	if !found || !found2 {
		return "", fmt.Errorf("cannot read back with %q", e.CopyStmt.String)
	}
	options := ""
	if binary {
		options = " WITH (FORMAT binary)"
	}
	if condition == "" && !e.LoadsViaRoot() {
		return "COPY " + table + " TO STDOUT" + options, nil
	}
	// A partitioned table, or a part of a table, is read by a query. The
	// column list is the last parenthesis: names before it are quoted.
	columns := ""
	if open := columnList(table); open >= 0 {
		columns = strings.TrimSuffix(table[open+1:], ")")
		table = table[:open]
	}
	return fmt.Sprintf("COPY (SELECT %s FROM %s %s) TO STDOUT%s", columns, table, condition, options), nil
}

// columnList is where the column list of "schema.table (a, b)" starts, or -1.
func columnList(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '(' && !quoted:
			return i
		}
	}
	return -1
}

// meter forwards rows and reports their bytes, not too often.
type meter struct {
	*run
	in      copywire.Rows
	object  string
	pending int64
}

const meterStep = 1 << 20

// Forward implements [copywire.Sink].
func (m *meter) Forward(p []byte) error {
	m.add(len(p))
	return m.in.Forward(p)
}

// Write takes COPY data without message headers, from an archive.
func (m *meter) Write(p []byte) (int, error) {
	m.add(len(p))
	return m.in.Write(p)
}

func (m *meter) add(n int) {
	if m.pending += int64(n); m.pending >= meterStep {
		m.flush()
	}
}

func (m *meter) flush() {
	if m.pending > 0 {
		m.Reporter.Report(progress.UnitBytes{Phase: progress.Rows, Object: m.object, N: m.pending})
		m.pending = 0
	}
}

// tallies are what was stored, by entry.
type tallies struct {
	mu      sync.Mutex
	byEntry map[int]TableResult
	created map[int]bool // entries restored, by id
}

func (t *tallies) add(e *archive.Entry, result TableResult) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byEntry == nil {
		t.byEntry = map[int]TableResult{}
	}
	t.byEntry[e.ID] = result
}

func (t *tallies) bytesIf(wanted bool) (sum int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for result := range maps.Values(t.byEntry) {
		if wanted {
			sum += result.Bytes
		}
	}
	return sum
}

// count notes entries as restored.
func (r *run) count(entries ...*archive.Entry) {
	r.tables.mu.Lock()
	defer r.tables.mu.Unlock()
	if r.tables.created == nil {
		r.tables.created = map[int]bool{}
	}
	for _, e := range entries {
		if r.toc.ByID(e.ID) == nil {
			continue // a part of another's work
		}
		r.result.Objects[e.Desc]++
		r.tables.created[e.ID] = true
	}
}
