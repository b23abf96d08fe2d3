package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/internal/session"
)

// Filter selects objects, with patterns as pg_dump has them.
type Filter struct {
	Schemas, ExcludeSchemas                 []string
	Tables, ExcludeTables, ExcludeTableData []string
}

func (f Filter) args() []string {
	var args []string
	add := func(flag string, patterns []string) {
		for _, p := range patterns {
			args = append(args, flag+"="+p)
		}
	}
	add("--schema", f.Schemas)
	add("--exclude-schema", f.ExcludeSchemas)
	add("--table", f.Tables)
	add("--exclude-table", f.ExcludeTables)
	if len(f.Schemas)+len(f.Tables) > 0 {
		args = append(args, "--strict-names") // a pattern that matches nothing is a mistake
	}
	return args
}

// Live is a snapshot as an archive that was never written: pg_dump's table of
// contents, completed by the entries for rows, sequence values and
// materialized views, and the data behind them.
//
// pg_dump writes a custom archive without rows into a pipe. Its table of
// contents comes first; the large objects stay in pg_dump, held back by the
// pipe, until LargeObjects reads them.
type Live struct {
	snapshot *Snapshot
	toc      *archive.TOC
	tables   map[int]*catalog.Table // by the id of their TABLE DATA entry
	absent   []*catalog.Table       // without rows, since a standby has none of them
	indexes  map[catalog.ObjectID]int64

	reader *archive.CustomReader
	pipe   *io.PipeReader
	stop   context.CancelCauseFunc
	exited chan struct{}
	err    error // of pg_dump; valid after exited

	mu      sync.Mutex
	streams []*pgx.Conn // idle sessions in the snapshot
}

var errClosed = errors.New("the dump was closed")

// Dump runs client in the snapshot and reads the table of contents. Close must
// be called, also to learn whether pg_dump ended well.
func (s *Snapshot) Dump(ctx context.Context, client pgtools.Client, filter Filter) (*Live, error) {
	dumpCtx, stop := context.WithCancelCause(ctx)
	pr, pw := io.Pipe()
	l := &Live{snapshot: s, pipe: pr, stop: stop, exited: make(chan struct{})}
	args := append([]string{
		"--format=custom", "--compress=0", "--snapshot=" + s.id, "--exclude-table-data=*.*",
		fmt.Sprintf("--lock-wait-timeout=%d", s.lockWait.Milliseconds()), "--encoding=" + s.Encoding,
	}, filter.args()...)
	go func() {
		defer close(l.exited)
		l.err = client.Dump(dumpCtx, pgtools.Request{
			Conninfo: s.endpoint.Libpq(), PassFile: s.endpoint.PassFile(), Peer: s.endpoint.Peer, Args: args, Stdout: pw,
		})
		_ = pw.CloseWithError(l.err) // nil is the end of the archive
	}()
	var err error
	if l.indexes, err = catalog.IndexSizes(ctx, s.leader); err == nil { // while pg_dump is at work
		l.reader, err = archive.NewCustomReader(pr)
	}
	if err == nil {
		l.toc = l.reader.TOC()
		err = l.complete(ctx, filter)
	}
	if err != nil {
		if closeErr := l.Close(); closeErr != nil && !errors.Is(closeErr, errClosed) {
			err = closeErr // why pg_dump failed explains what its output lacks
		}
		return nil, fmt.Errorf("dump the schema with %s: %w", client, err)
	}
	return l, nil
}

// Close ends pg_dump and the streams. It returns pg_dump's error unless
// pg_dump was only ended early by Close itself.
func (l *Live) Close() error {
	l.stop(errClosed)
	_ = l.pipe.CloseWithError(errClosed)
	<-l.exited
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.streams {
		session.HangUp(context.Background(), conn)
	}
	l.streams = nil
	if errors.Is(l.err, errClosed) {
		return nil
	}
	return l.err
}

// TOC returns the completed table of contents.
func (l *Live) TOC() *archive.TOC { return l.toc }

// Tables returns the tables whose rows are part of the archive.
func (l *Live) Tables() []*catalog.Table {
	var tables []*catalog.Table
	for _, e := range l.toc.Find(archive.DescTableData) {
		tables = append(tables, l.tables[e.ID])
	}
	return tables
}

// Check finds what would keep the archive from being read whole.
func (l *Live) Check(ctx context.Context) (preflight.Findings, error) {
	wanted := map[string]bool{}
	for _, e := range l.toc.Find("SEQUENCE") {
		wanted[e.Namespace.String+"."+e.Tag] = true
	}
	f := l.snapshot.check(l.Tables(), func(name string) bool { return wanted[name] })
	for _, t := range l.absent {
		f.Warning("table "+t.QualifiedName(), "is unlogged: a standby has no rows of it, and it is left empty", "read from the primary")
	}
	if len(l.toc.Find(archive.DescBlobs)) == 0 {
		return f, nil
	}
	return f, l.snapshot.checkLargeObjects(ctx, &f)
}

// Table returns the table of a TABLE DATA entry.
func (l *Live) Table(e *archive.Entry) *catalog.Table { return l.tables[e.ID] }

// Size is the number of bytes of an entry's rows, or of the index it makes, as the
// source stores them.
func (l *Live) Size(e *archive.Entry) int64 {
	if t := l.tables[e.ID]; t != nil {
		return t.Bytes
	}
	return l.indexes[catalog.ObjectID{Catalog: e.TableOID, OID: e.OID}]
}

// Binary reports whether the rows of an entry come in binary COPY format.
func (l *Live) Binary(e *archive.Entry) bool { return l.tables[e.ID].Binary }

// Expected knows nothing: the rows are counted as they leave.
func (l *Live) Expected(*archive.Entry) (rows int64, hash uint64, known bool) { return 0, 0, false }

// Condition is the WHERE clause of an extension's configuration table.
func (l *Live) Condition(e *archive.Entry) string { return l.tables[e.ID].Condition }

// Stream sends rows to sink, and to hash if it is not nil.
type Stream = func(ctx context.Context, sink copywire.Sink, hash *copywire.RowHash) (copywire.Tally, error)

// Streams cuts the rows of a TABLE DATA entry into at most n parts, each of
// which may be copied by another goroutine.
func (l *Live) Streams(ctx context.Context, e *archive.Entry, n int) ([]Stream, error) {
	var streams []Stream
	for _, sql := range l.tables[e.ID].CopyParts(n) {
		streams = append(streams, func(ctx context.Context, sink copywire.Sink, hash *copywire.RowHash) (copywire.Tally, error) {
			if wire := l.snapshot.endpoint.Wire; wire != nil && l.Size(e) >= copywire.WireFrom {
				return wire.Out(ctx, l.snapshot.copy(sql), sink, hash)
			}
			conn, err := l.take(ctx)
			if err != nil {
				return copywire.Tally{}, err
			}
			defer l.give(conn)
			return copywire.Out(ctx, conn.PgConn(), sql, sink, hash)
		})
	}
	return streams, nil
}

func (l *Live) take(ctx context.Context) (*pgx.Conn, error) {
	l.mu.Lock()
	if n := len(l.streams); n > 0 {
		conn := l.streams[n-1]
		l.streams = l.streams[:n-1]
		l.mu.Unlock()
		return conn, nil
	}
	l.mu.Unlock()
	return l.snapshot.Stream(ctx)
}

func (l *Live) give(conn *pgx.Conn) {
	if conn.IsClosed() {
		return
	}
	l.mu.Lock()
	l.streams = append(l.streams, conn)
	l.mu.Unlock()
}

// LargeObjects calls fn for every large object, in the order of the archive,
// with the BLOBS entry it belongs to. It can be called once, and returns when
// pg_dump has ended.
func (l *Live) LargeObjects(ctx context.Context, fn func(e *archive.Entry, oid uint32, data io.Reader) error) error {
	defer context.AfterFunc(ctx, func() { _ = l.pipe.CloseWithError(context.Cause(ctx)) })()
	for {
		block, err := l.reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return l.explain(ctx, err)
		}
		if block.Type != archive.BlockBlobs {
			return fmt.Errorf("pg_dump wrote rows of %s although it was told not to", block.Entry.Name())
		}
		for {
			oid, data, err := block.NextLO()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				err = fn(block.Entry, oid, data)
			}
			if err != nil {
				return l.explain(ctx, err)
			}
		}
	}
	<-l.exited
	return l.err
}

// explain gives the reason for a failure to read or to use pg_dump's output: the
// end of ctx, or pg_dump's own failure, rather than what it left of its output.
func (l *Live) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	l.stop(errClosed)
	_ = l.pipe.CloseWithError(errClosed)
	<-l.exited
	if l.err != nil && !errors.Is(l.err, errClosed) {
		return l.err
	}
	return err
}
