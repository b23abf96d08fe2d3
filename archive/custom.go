package archive

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
)

// BlockType is the kind of a data block in a custom archive.
type BlockType byte

const (
	BlockData  BlockType = 1 // rows of a table
	BlockBlobs BlockType = 3 // large objects
)

// A CustomReader reads a custom-format archive from front to back, as it comes out of a
// pipe from pg_dump. It holds no more than a buffer's worth of data at a time.
type CustomReader struct {
	d     *decoder
	toc   *TOC
	block *Block
	open  map[int]bool // entries with data whose block has not come yet
	err   error
}

// NewCustomReader reads header and table of contents, and nothing that lies behind them but
// what fits its buffer. The data is read by [CustomReader.Next].
func NewCustomReader(r io.Reader) (*CustomReader, error) {
	d := newDecoder(r)
	toc, err := readTOC(d)
	if err != nil {
		return nil, err
	}
	if toc.Header.Format != FormatCustom {
		return nil, d.corrupt("format %d is not the custom format", toc.Header.Format)
	}
	if !toc.Header.Compression.known() {
		return nil, fmt.Errorf("read archive: compression %s is not supported", toc.Header.Compression)
	}
	open := make(map[int]bool)
	for _, e := range toc.Entries {
		if e.HasData() && e.Offset.State != OffsetNoData {
			open[e.ID] = true
		}
	}
	return &CustomReader{d: d, toc: toc, open: open}, nil
}

// TOC returns the archive's table of contents.
func (c *CustomReader) TOC() *TOC { return c.toc }

// Next finishes the current block and returns the next one. At the end of the archive,
// when every entry that has data has had its block, it returns io.EOF.
func (c *CustomReader) Next() (*Block, error) {
	if c.err != nil {
		return nil, c.err
	}
	b, err := c.next()
	c.err = err
	return b, err
}

func (c *CustomReader) next() (*Block, error) {
	if c.block != nil {
		if err := c.block.skip(); err != nil {
			return nil, err
		}
		c.block = nil
	}
	if _, err := c.d.r.Peek(1); errors.Is(err, io.EOF) {
		if len(c.open) > 0 {
			return nil, c.d.corrupt("%d data blocks are missing: %w", len(c.open), io.ErrUnexpectedEOF)
		}
		return nil, io.EOF
	}
	if len(c.open) == 0 {
		return nil, c.trailer()
	}
	b, err := readBlock(c.d, c.toc)
	if err != nil {
		return nil, err
	}
	if !c.open[b.Entry.ID] {
		return nil, c.d.corrupt("a second data block for %s, or one where none is expected", b.Entry.Name())
	}
	delete(c.open, b.Entry.ID)
	c.block = b
	return b, nil
}

// readBlock reads what a block starts with.
func readBlock(d *decoder, toc *TOC) (*Block, error) {
	b := &Block{d: d, algo: toc.Header.Compression, start: d.off}
	kind, err := d.byte("block type")
	if err != nil {
		return nil, err
	}
	if b.Type = BlockType(kind); b.Type != BlockData && b.Type != BlockBlobs {
		return nil, d.corrupt("unknown block type %d", kind)
	}
	id, err := d.int("block id")
	if err != nil {
		return nil, err
	}
	if b.Entry = toc.ByID(id); b.Entry == nil {
		return nil, d.corrupt("data block for entry %d, which does not exist", id)
	}
	return b, nil
}

// trailer reads what may follow the last block. pg_dump writes its table of contents again when
// it knows where the data came to lie, over the first one; but from version 16 on "pg_dump -Fc > FILE"
// puts its standard output in append mode, and the second one comes to lie behind the data.
func (c *CustomReader) trailer() error {
	start := c.d.off
	entries, err := readEntries(c.d, &c.toc.Header)
	if err != nil || !sameEntries(c.toc.Entries, entries) {
		return &CorruptError{Offset: start, Err: errors.New("unknown bytes after the last data block")}
	}
	if _, err := c.d.r.Peek(1); !errors.Is(err, io.EOF) {
		return c.d.corrupt("unknown bytes after the end of the archive")
	}
	return io.EOF
}

// sameEntries compares entries but for the places of their data.
func sameEntries(a, b []*Entry) bool {
	return slices.EqualFunc(a, b, func(x, y *Entry) bool {
		if !slices.Equal(x.Deps, y.Deps) {
			return false
		}
		p, q := *x, *y
		p.Deps, q.Deps = nil, nil
		p.Offset, q.Offset = Offset{}, Offset{}
		return reflect.DeepEqual(p, q)
	})
}

// A Block is the data of one entry. A table's block is read by Read, a block of large
// objects by NextLO. It is valid until the reader's next call of Next.
type Block struct {
	Type  BlockType
	Entry *Entry

	d       *decoder
	algo    Compression
	start   int64
	content *blockContent
	ended   bool
}

// Read returns the block's decompressed bytes: COPY text with its terminator, or INSERT statements.
func (b *Block) Read(p []byte) (int, error) {
	if b.Type != BlockData {
		return 0, fmt.Errorf("read block of %s: it holds large objects", b.Entry.Name())
	}
	if b.content == nil {
		b.content = newBlockContent(b.d, b.algo)
	}
	return b.content.Read(p)
}

// NextLO skips what is left of the current large object and returns the next one's oid and
// content, which is valid until the next call. After the last one it returns io.EOF.
func (b *Block) NextLO() (uint32, io.Reader, error) {
	if b.Type != BlockBlobs {
		return 0, nil, fmt.Errorf("read block of %s: it holds rows", b.Entry.Name())
	}
	if b.ended {
		return 0, nil, io.EOF
	}
	if b.content != nil {
		if err := b.content.skip(); err != nil {
			return 0, nil, err
		}
		b.content = nil
	}
	oid, err := b.d.int("large object oid")
	if err != nil {
		return 0, nil, err
	}
	if oid == 0 {
		b.ended = true
		return 0, nil, io.EOF
	}
	b.content = newBlockContent(b.d, b.algo)
	return uint32(int32(oid)), b.content, nil
}

// Close frees what decompressing the block took. The reader's Next does so too.
func (b *Block) Close() error {
	if b.content == nil {
		return nil
	}
	return b.content.close()
}

func (b *Block) skip() error {
	if b.Type == BlockData {
		if b.content == nil {
			b.content = newBlockContent(b.d, b.algo)
		}
		return b.content.skip()
	}
	for {
		if _, _, err := b.NextLO(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// blockContent is one compressed stream inside a block.
type blockContent struct {
	chunks *chunkReader
	algo   Compression
	plain  io.ReadCloser
	err    error
}

func newBlockContent(d *decoder, algo Compression) *blockContent {
	return &blockContent{chunks: &chunkReader{d: d}, algo: algo}
}

func (c *blockContent) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.read(p)
	if err != nil {
		c.err = err
		// The Close of a decompressor that has failed may give its own error once more, without the place.
		if closed := c.close(); closed != nil && errors.Is(err, io.EOF) {
			c.err = c.placed(closed)
		}
		return n, c.err
	}
	return n, nil
}

func (c *blockContent) read(p []byte) (int, error) {
	if c.plain == nil {
		// What is empty was never compressed.
		if empty, err := c.chunks.atEnd(); err != nil {
			return 0, err
		} else if empty {
			return 0, io.EOF
		}
		plain, err := decompress(c.chunks, c.algo)
		if err != nil {
			return 0, c.placed(err)
		}
		c.plain = plain
	}
	n, err := c.plain.Read(p)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return n, c.placed(err)
	}
	if end, err := c.chunks.atEnd(); err != nil {
		return n, err
	} else if !end {
		return n, c.chunks.d.corrupt("data goes on after the end of the compressed stream")
	}
	return n, io.EOF
}

// placed says where decompression failed, unless the failure is the input's own.
func (c *blockContent) placed(err error) error {
	if c.chunks.err != nil && !errors.Is(c.chunks.err, io.EOF) {
		return c.chunks.err
	}
	return c.chunks.d.corrupt("decompress: %w", unexpectedEOF(err))
}

func (c *blockContent) close() error {
	if c.plain == nil {
		return nil
	}
	err := c.plain.Close()
	c.plain = nil
	return err
}

// skip moves behind the stream without decompressing the rest of it.
func (c *blockContent) skip() error {
	if c.err != nil && !errors.Is(c.err, io.EOF) {
		return c.err
	}
	if err := c.close(); err != nil {
		return err
	}
	c.err = io.EOF
	return c.chunks.skip()
}

// A chunkReader joins the chunks of one object: each a length above 0 and that many bytes,
// the end marked by a length of 0. It ends with io.EOF and leaves the decoder behind the mark.
type chunkReader struct {
	d    *decoder
	left int
	err  error
}

// advance makes sure bytes are left or an error is set.
func (c *chunkReader) advance() error {
	if c.err != nil || c.left > 0 {
		return c.err
	}
	n, err := c.d.int("chunk length")
	switch {
	case err != nil:
		c.err = err
	case n < 0:
		c.err = c.d.corrupt("chunk length %d", n)
	case n == 0:
		c.err = io.EOF
	}
	c.left = n
	return c.err
}

func (c *chunkReader) atEnd() (bool, error) {
	if err := c.advance(); errors.Is(err, io.EOF) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	return false, nil
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := c.advance(); err != nil {
		return 0, err
	}
	n, err := c.d.Read(p[:min(len(p), c.left)])
	c.left -= n
	if err != nil {
		c.err = c.d.readErr("data", err)
	}
	return n, c.err
}

func (c *chunkReader) skip() error {
	for {
		if end, err := c.atEnd(); end || err != nil {
			return err
		}
		n, err := c.d.r.Discard(c.left)
		c.d.off += int64(n)
		c.left -= n
		if err != nil {
			c.err = c.d.readErr("data", err)
			return c.err
		}
	}
}
