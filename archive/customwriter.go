package archive

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// A CustomWriter writes a custom archive from front to back. Tables and large objects are
// written one at a time, though the rows of a table may come in several streams.
type CustomWriter struct {
	toc  *TOC
	c    *Compressor
	out  *bufio.Writer
	seek io.WriteSeeker // nil: a pipe
	off  int64
	open map[int]*Entry // entries with data that has not been written
	busy bool
	err  error
}

// NewCustomWriter writes header and table of contents. Entries with data must have HadDumper set.
//
// If seek is not nil it is the file that w writes to, from its start; then the places of the data are
// filled in at the end. It must not be in append mode. A pipe has nil.
func NewCustomWriter(w io.Writer, seek io.WriteSeeker, toc *TOC, c *Compressor) (*CustomWriter, error) {
	cw := &CustomWriter{toc: toc, c: c, out: bufio.NewWriterSize(w, 256<<10), seek: seek, open: make(map[int]*Entry)}
	toc.Header.Format = FormatCustom
	toc.Header.Compression, toc.Header.Level = c.codec.Compression, headerLevel(c.codec)
	for _, e := range toc.Entries {
		e.FileName, e.Offset = "", Offset{State: OffsetNoData}
		if e.HasData() {
			e.Offset.State = OffsetUnset
			cw.open[e.ID] = e
		}
	}
	var err error
	if cw.off, err = toc.WriteTo(cw.out); err != nil {
		return nil, err
	}
	return cw, nil
}

// begin starts the block of an entry.
func (c *CustomWriter) begin(e *Entry, kind BlockType) error {
	switch {
	case c.err != nil:
		return c.err
	case c.busy:
		return fmt.Errorf("write %s: the data of another entry is not finished", e.Name())
	case c.open[e.ID] != e:
		return fmt.Errorf("write %s: the entry is not among those with data, or its data was written before", e.Name())
	}
	delete(c.open, e.ID)
	e.Offset = Offset{State: OffsetSet, Pos: c.off}
	c.busy = true
	c.raw([]byte{byte(kind)})
	c.int(e.ID)
	return c.err
}

// end finishes a block with its last length of 0.
func (c *CustomWriter) end() error {
	c.int(0)
	c.busy = false
	return c.err
}

// Table starts the data of a TABLE DATA entry.
func (c *CustomWriter) Table(e *Entry) (*TableWriter, error) {
	if err := c.begin(e, BlockData); err != nil {
		return nil, err
	}
	t := &TableWriter{c: c.c, name: e.Name(), w: chunkWriter{c}, finish: c.end}
	if c.c.codec.Compression == CompressionGzip {
		var err error
		if t.zlib, err = zlib.NewWriterLevel((*tableOutput)(t), c.c.codec.zlibLevel()); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// LargeObjects starts the contents of the large objects of a BLOBS entry.
func (c *CustomWriter) LargeObjects(e *Entry) (*LargeObjectWriter, error) {
	if err := c.begin(e, BlockBlobs); err != nil {
		return nil, err
	}
	return &LargeObjectWriter{
		name: e.Name(),
		add: func(oid uint32, content io.Reader) error {
			c.int(int(int32(oid))) // above 2^31 the format has them negative
			if err := c.copyAll(content); err != nil {
				return err
			}
			c.int(0)
			return c.err
		},
		end: c.end,
	}, nil
}

// copyAll compresses a large object into chunks.
func (c *CustomWriter) copyAll(content io.Reader) error {
	if c.c.codec.Compression != CompressionGzip {
		return c.c.copyAll(chunkWriter{c}, content)
	}
	z, err := zlib.NewWriterLevel(chunkWriter{c}, c.c.codec.zlibLevel())
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, content); err != nil {
		return err
	}
	return z.Close()
}

// Close ends the archive, in which every entry with data must have got it. It does not close the file.
func (c *CustomWriter) Close() error {
	if c.err == nil && (len(c.open) > 0 || c.busy) {
		c.err = errors.New("the data of an entry is missing")
	}
	if c.err == nil {
		c.err = c.out.Flush()
	}
	if c.err == nil && c.seek != nil {
		c.err = c.rewrite()
	}
	if c.err != nil {
		return fmt.Errorf("write archive: %w", c.err)
	}
	return nil
}

// rewrite puts the table of contents over the first one, which had no places in it and
// the same length.
func (c *CustomWriter) rewrite() error {
	if _, err := c.seek.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := c.toc.WriteTo(c.seek); err != nil {
		return err
	}
	_, err := c.seek.Seek(0, io.SeekEnd)
	return err
}

func (c *CustomWriter) raw(p []byte) {
	if c.err != nil {
		return
	}
	var n int
	n, c.err = c.out.Write(p)
	c.off += int64(n)
}

func (c *CustomWriter) int(v int) {
	c.raw(appendInt(nil, v, int(c.toc.Header.IntSize)))
}

// chunkWriter turns each Write into a chunk.
type chunkWriter struct{ c *CustomWriter }

// maxChunk keeps the length of a chunk far from what its field can hold.
const maxChunk = 1 << 30

func (w chunkWriter) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n := min(len(p)-written, maxChunk)
		w.c.int(n)
		w.c.raw(p[written : written+n])
		if w.c.err != nil {
			return written, w.c.err
		}
		written += n
	}
	return written, nil
}
