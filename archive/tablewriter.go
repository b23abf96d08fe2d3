package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// TableStats is what became of the rows of a table.
type TableStats struct {
	Rows   int64
	Raw    int64  // bytes of COPY text, without the terminator
	Stored int64  // bytes in the archive
	Hash   string // of the rows, as [ManifestTable] has it
}

// A TableWriter writes the data of one table. Any number of streams, each with its own part of
// the rows, may feed it at once: blocks of whole rows are compressed side by side and
// appended as they get ready, so one table can keep all cores busy. The rows'
// order is that of no stream, which does not matter to a table.
type TableWriter struct {
	c        *Compressor
	name     string // of the entry, for messages
	seekable bool   // end with a seek table
	finish   func() error

	mu      sync.Mutex // guards what follows, and the order of frames
	w       io.Writer
	zlib    *zlib.Writer // custom archives with gzip: one stream for the whole table
	written int64
	frames  []frame
	rows    rowSum
	err     error
}

// A RowWriter is one stream of rows into a table. It must be closed, also after an error.
type RowWriter struct {
	t       *TableWriter
	block   *block
	long    *longRow
	pending sync.WaitGroup
}

// Stream starts a stream of rows. Streams may be used concurrently, each by one goroutine.
func (t *TableWriter) Stream() *RowWriter {
	return &RowWriter{t: t, block: t.c.block()}
}

// Write takes COPY text, cut anywhere. It blocks while the compressor has enough to do.
func (r *RowWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if r.long != nil {
			n, err := r.long.write(p)
			if err != nil {
				return total - len(p), r.abandonLongRow(err)
			}
			p = p[n:]
			if r.long.ended {
				if err := r.endLongRow(); err != nil {
					return total - len(p), err
				}
			}
			continue
		}
		n := min(len(p), max(blockSize-len(r.block.raw), 0))
		if n == 0 {
			if err := r.cut(); err != nil {
				return total - len(p), err
			}
			continue
		}
		r.block.raw = append(r.block.raw, p[:n]...)
		p = p[n:]
	}
	return total, nil
}

// cut sends off the whole rows of a full block. If it holds not even one, the row goes on as
// a frame of its own, without being gathered in memory.
func (r *RowWriter) cut() error {
	end := bytes.LastIndexByte(r.block.raw, '\n') + 1
	if end == 0 {
		return r.startLongRow()
	}
	full := r.block
	r.block = r.t.c.block()
	r.block.raw = append(r.block.raw, full.raw[end:]...)
	full.raw = full.raw[:end]
	return r.send(full)
}

// send compresses and appends a block beside the caller, once a slot is free.
func (r *RowWriter) send(b *block) error {
	c := r.t.c
	c.slots <- struct{}{}
	if err := r.t.failed(); err != nil {
		<-c.slots
		return err
	}
	r.pending.Add(1)
	go func() {
		defer func() { c.release(b); <-c.slots; r.pending.Done() }()
		r.t.append(b)
	}()
	return nil
}

// Close waits until the stream's rows are written. It fails if the last row has no end, or if any
// stream of the table failed before.
func (r *RowWriter) Close() error {
	if r.block == nil {
		return r.t.failed()
	}
	last := r.block
	r.block = nil
	switch {
	case r.long != nil:
		r.long.abandon()
		r.long = nil
		r.t.fail(errCutRow)
	case len(last.raw) > 0 && last.raw[len(last.raw)-1] != '\n':
		r.t.fail(errCutRow)
	case len(last.raw) > 0:
		if err := r.send(last); err != nil {
			r.pending.Wait()
			return err
		}
	}
	r.pending.Wait()
	return r.t.failed()
}

var errCutRow = errors.New("the rows end in the middle of one")

// append compresses a block of whole rows and writes it.
func (t *TableWriter) append(b *block) {
	if t.zlib == nil {
		if err := t.c.compress(b); err != nil {
			t.fail(err)
			return
		}
	}
	var rows rowSum
	rows.Write(b.raw)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.rows.merge(&rows)
		t.err = t.put(b)
	}
}

// put writes a block that is compressed. It is called with mu held.
func (t *TableWriter) put(b *block) error {
	if t.zlib != nil {
		_, err := t.zlib.Write(b.raw)
		return err
	}
	start, data := t.written, b.out
	if t.c.codec.Compression == CompressionNone {
		data = b.raw
	}
	if _, err := (*tableOutput)(t).Write(data); err != nil {
		return err
	}
	if !t.seekable {
		return nil
	}
	f, err := newFrame(start, t.written-start, data, int64(len(b.raw)))
	t.frames = append(t.frames, f)
	return err
}

// tableOutput counts what is written. Each Write of it starts a chunk in a custom archive, as a
// frame must.
type tableOutput TableWriter

func (t *tableOutput) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.written += int64(n)
	return n, err
}

// Close writes the terminator and what else ends the table's data. All streams must be closed.
// It must be called also after an error, once.
func (t *TableWriter) Close() (TableStats, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = t.end()
	}
	if err := t.finish(); t.err == nil {
		t.err = err
	}
	if t.err != nil {
		return TableStats{}, fmt.Errorf("write %s: %w", t.name, t.err)
	}
	return TableStats{Rows: t.rows.rows, Raw: t.rows.bytes, Stored: t.written, Hash: t.rows.String()}, nil
}

// Abandon gives up a table whose rows did not all come, in the place of Close.
func (t *TableWriter) Abandon() {
	_ = t.fail(errAbandoned)
	_, _ = t.Close() // which fails
}

var errAbandoned = errors.New("the rows did not all come")

func (t *TableWriter) end() error {
	last := &block{raw: []byte(terminator)}
	if t.zlib == nil {
		if err := t.c.compress(last); err != nil {
			return err
		}
	}
	if err := t.put(last); err != nil {
		return err
	}
	if t.zlib != nil {
		return t.zlib.Close()
	}
	if t.seekable {
		_, err := (*tableOutput)(t).Write(appendSeekTable(nil, t.frames))
		return err
	}
	return nil
}

func (t *TableWriter) fail(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	return fmt.Errorf("write %s: %w", t.name, t.err)
}

func (t *TableWriter) failed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		return nil
	}
	return fmt.Errorf("write %s: %w", t.name, t.err)
}
