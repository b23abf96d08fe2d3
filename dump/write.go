package dump

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/atomicfile"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/progress"
)

// writer writes one archive.
type writer struct {
	*Options
	snapshot *Snapshot
	live     *Live
	client   pgtools.Client
	result   *Result

	started time.Time    // on the rows
	toc     *archive.TOC // in the layout that is written
	tables  []*tableOut  // largest first
	mu      sync.Mutex
	rows    []archive.ManifestTable
}

// tableOut is a TABLE DATA entry on its way out.
type tableOut struct {
	entry *archive.Entry // of the layout written
	size  int64
	parts int
}

func (w *writer) write(ctx context.Context) error {
	var err error
	if w.toc, err = w.live.TOC().Convert(archive.LayoutFor(w.PgRestore)); err != nil {
		return err
	}
	w.result.Layout = w.toc.Header.Version()
	w.warnOfLayout()
	var total int64
	for _, e := range w.toc.Entries {
		if !e.IsSetting() {
			w.result.Objects[e.Desc]++
		}
		if e.Desc == archive.DescTableData {
			w.tables = append(w.tables, &tableOut{entry: e, size: w.live.Size(e)})
			total += w.live.Size(e)
		}
	}
	for _, t := range w.tables {
		if total > 0 {
			t.parts = int((t.size*int64(w.Jobs) + total/2) / total)
		}
	}
	c, err := archive.NewCompressor(*w.Codec, runtime.GOMAXPROCS(0))
	if err != nil {
		return err
	}
	w.started = time.Now()
	w.Reporter.Report(progress.PhaseStart{Phase: progress.Rows, Units: len(w.tables), Bytes: total})
	switch {
	case w.Folder != nil:
		return w.directory(ctx, archive.NewDirectoryWriter(w.Folder, c))
	case w.Path == "":
		return w.custom(ctx, c, w.Output, nil)
	case w.Custom:
		return atomicfile.WriteFile(w.Path, 0o600, func(out io.Writer) error {
			file, _ := out.(*os.File) // places are filled in where the file can be sought
			return w.custom(ctx, c, out, file)
		})
	}
	return w.publish(ctx, c)
}

// rowsDone sums up when all rows have been written.
func (w *writer) rowsDone() {
	for _, t := range w.rows {
		w.result.Tables = append(w.result.Tables, Table{Name: t.Schema + "." + t.Name, Rows: t.Rows, Raw: t.Raw, Stored: t.Stored})
		w.result.Rows += t.Rows
		w.result.Raw += t.Raw
		w.result.Stored += t.Stored
	}
	w.Reporter.Report(progress.PhaseEnd{Phase: progress.Rows, Units: len(w.tables), Bytes: w.result.Raw, Elapsed: time.Since(w.started)})
}

// warnOfLayout tells what the layout has no place for.
func (w *writer) warnOfLayout() {
	if w.toc.Header.Minor >= 16 {
		return
	}
	for _, e := range w.live.TOC().Entries {
		if e.RelKind == 'p' && e.TableAM.String != "" {
			w.Reporter.Report(progress.Warning{Object: e.Name(),
				Text:   fmt.Sprintf("its access method %s is left out, which archives for pg_restore %d cannot hold", e.TableAM.String, w.PgRestore),
				Remedy: "--pg-restore 17, or ALTER TABLE ... SET ACCESS METHOD after the restore"})
		}
	}
}

// publish writes a directory that appears at its path when it is whole.
func (w *writer) publish(ctx context.Context, c *archive.Compressor) error {
	d, err := archive.CreateDirectory(w.Path, c)
	if err != nil {
		return err
	}
	if err := w.directory(ctx, d); err != nil {
		return errors.Join(err, d.Abort())
	}
	return nil
}

// directory writes all tables at once, each into its own file.
func (w *writer) directory(ctx context.Context, d *archive.DirectoryWriter) error {
	g, groupCtx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, w.Jobs)
	if w.Filter.isEmpty() {
		slots <- struct{}{}
		g.Go(func() error {
			defer func() { <-slots }()
			return w.writeCatalog(groupCtx, d)
		})
	}
	g.Go(func() error {
		return w.largeObjects(groupCtx, func(e *archive.Entry) (*archive.LargeObjectWriter, error) {
			return d.LargeObjects(groupCtx, &w.toc.Header, e)
		})
	})
	g.Go(func() error {
		tables, tablesCtx := errgroup.WithContext(groupCtx)
		slices.SortStableFunc(w.tables, func(a, b *tableOut) int { return cmp.Compare(b.size, a.size) })
		for _, t := range w.tables {
			select {
			case slots <- struct{}{}:
				tables.Go(func() error {
					return w.table(tablesCtx, t, func(e *archive.Entry) (*archive.TableWriter, error) { return d.Table(tablesCtx, e, t.size) }, slots)
				})
				continue
			case <-tablesCtx.Done():
			}
			return cmp.Or(tables.Wait(), context.Cause(groupCtx))
		}
		return tables.Wait()
	})
	if err := g.Wait(); err != nil {
		return err
	}
	w.rowsDone()
	manifest, err := w.manifest(ctx)
	if err != nil {
		return err
	}
	w.result.Manifest = manifest
	return d.Finish(ctx, w.toc, manifest)
}

// custom writes one entry's data after the other, in the order of the archive.
func (w *writer) custom(ctx context.Context, c *archive.Compressor, out io.Writer, file *os.File) error {
	var seek io.WriteSeeker
	if file != nil {
		seek = file
	}
	cw, err := archive.NewCustomWriter(out, seek, w.toc, c)
	if err != nil {
		return err
	}
	slots := make(chan struct{}, w.Jobs)
	for _, t := range w.tables {
		t.parts = w.Jobs // there is only one table at a time
		slots <- struct{}{}
		if err := w.table(ctx, t, cw.Table, slots); err != nil {
			return err
		}
	}
	if err := w.largeObjects(ctx, cw.LargeObjects); err != nil {
		return err
	}
	if err := cw.Close(); err != nil {
		return err
	}
	w.rowsDone()
	return nil
}

// table writes the rows of one table. A slot stands for one stream; the caller
// has taken that of the first.
func (w *writer) table(ctx context.Context, t *tableOut, create func(*archive.Entry) (*archive.TableWriter, error), slots chan struct{}) (err error) {
	name := t.entry.Namespace.String + "." + t.entry.Tag
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("dump table %s: %w", name, err)
		}
	}()
	streams, err := w.live.Streams(ctx, t.entry, t.parts)
	if err != nil {
		<-slots
		return err
	}
	tw, err := create(t.entry)
	if err != nil {
		<-slots
		return err
	}
	var sent copywire.Tally
	start := time.Now()
	g, groupCtx := errgroup.WithContext(ctx)
	for i, stream := range streams {
		if i > 0 {
			select {
			case slots <- struct{}{}:
			case <-groupCtx.Done():
				err := g.Wait()
				tw.Abandon()
				return cmp.Or(err, context.Cause(ctx))
			}
		}
		w.Reporter.Report(progress.UnitStart{Phase: progress.Rows, Object: name, Bytes: t.size})
		g.Go(func() error {
			defer func() { <-slots }()
			rows := tw.Stream()
			m := &meter{reporter: w.Reporter, object: name, w: rows}
			tally, err := stream(groupCtx, copywire.Unframe(m), nil)
			m.flush()
			err = errors.Join(err, rows.Close())
			w.mu.Lock()
			defer w.mu.Unlock()
			sent.Rows += tally.Rows
			sent.Bytes += tally.Bytes
			return err
		})
	}
	if err := g.Wait(); err != nil {
		tw.Abandon()
		return err
	}
	stats, err := tw.Close()
	if err != nil {
		return err
	}
	if stats.Rows != sent.Rows || stats.Raw != sent.Bytes {
		return fmt.Errorf("the server sent %d rows in %d bytes, the archive holds %d in %d", sent.Rows, sent.Bytes, stats.Rows, stats.Raw)
	}
	w.mu.Lock()
	w.rows = append(w.rows, archive.ManifestTable{ID: t.entry.ID, Schema: t.entry.Namespace.String, Name: t.entry.Tag,
		Rows: stats.Rows, Raw: stats.Raw, Stored: stats.Stored, Hash: stats.Hash})
	w.mu.Unlock()
	w.Reporter.Report(progress.UnitEnd{Phase: progress.Rows, Object: name, Rows: stats.Rows, Bytes: stats.Raw, Elapsed: time.Since(start)})
	return nil
}

// largeObjects writes the large objects as pg_dump sends them, and waits for
// pg_dump's end.
func (w *writer) largeObjects(ctx context.Context, create func(*archive.Entry) (*archive.LargeObjectWriter, error)) error {
	var current *archive.Entry
	var lw *archive.LargeObjectWriter
	err := w.live.LargeObjects(ctx, func(e *archive.Entry, oid uint32, data io.Reader) error {
		if e = w.blobs(e); e != current {
			if lw != nil {
				if err := lw.Close(); err != nil {
					return err
				}
			}
			var err error
			if lw, err = create(e); err != nil {
				return err
			}
			current = e
		}
		w.result.LargeObjects++
		return lw.Add(oid, bufio.NewReader(data))
	})
	if lw != nil {
		if closeErr := lw.Close(); err == nil { // after another failure it says the same
			err = closeErr
		}
	}
	return err
}

// blobs is the entry of the written layout that large objects of an entry
// belong to: itself, or the only one in layouts before 1.16.
func (w *writer) blobs(e *archive.Entry) *archive.Entry {
	if same := w.toc.ByID(e.ID); same != nil && same.Desc == archive.DescBlobs {
		return same
	}
	return w.toc.Find(archive.DescBlobs)[0]
}

// meter reports bytes on their way, not too often.
type meter struct {
	reporter progress.Reporter
	object   string
	w        io.Writer
	pending  int64
	flushed  time.Time
}

func (m *meter) Write(p []byte) (int, error) {
	if m.pending += int64(len(p)); m.pending >= 1<<20 || time.Since(m.flushed) >= time.Second {
		m.flush()
	}
	return m.w.Write(p)
}

func (m *meter) flush() {
	if m.pending > 0 {
		m.reporter.Report(progress.UnitBytes{Phase: progress.Rows, Object: m.object, N: m.pending})
		m.pending, m.flushed = 0, time.Now()
	}
}
