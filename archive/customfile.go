package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// customFile is a custom archive in a file.
type customFile struct {
	f      *os.File
	path   string
	size   int64
	toc    *TOC
	blocks map[int]span
}

// span is where the block of an entry lies.
type span struct{ start, end int64 }

var _ Archive = (*customFile)(nil)

func openCustom(f *os.File, path string) (Archive, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	c, err := NewCustomReader(f)
	if err != nil {
		return nil, err
	}
	a := &customFile{f: f, path: path, size: info.Size(), toc: c.TOC()}
	if a.blocks, err = placesInTOC(c, a.size); err != nil {
		return nil, err
	}
	if a.blocks == nil {
		// The archive went through a pipe and does not know where its data is.
		if a.blocks, err = scanBlocks(c); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// placesInTOC takes the places of all blocks from the table of contents. It returns nil if one is
// not there.
func placesInTOC(c *CustomReader, size int64) (map[int]span, error) {
	blocks := make(map[int]span, len(c.open))
	last := 0 // the entry whose block comes before
	for _, e := range c.toc.Entries {
		if !c.open[e.ID] {
			continue
		}
		if e.Offset.State != OffsetSet {
			return nil, nil
		}
		if e.Offset.Pos < c.d.off || e.Offset.Pos >= size {
			return nil, c.d.corrupt("the data of %s would be outside of the file, at byte %d", e.Name(), e.Offset.Pos)
		}
		if before, ok := blocks[last]; ok && before.start < e.Offset.Pos {
			blocks[last] = span{before.start, e.Offset.Pos}
		}
		blocks[e.ID] = span{e.Offset.Pos, size}
		last = e.ID
	}
	return blocks, nil
}

// scanBlocks finds the blocks by hopping from one to the next.
func scanBlocks(c *CustomReader) (map[int]span, error) {
	blocks := make(map[int]span, len(c.open))
	for {
		b, err := c.Next()
		if errors.Is(err, io.EOF) {
			return blocks, nil
		}
		if err != nil {
			return nil, err
		}
		if err := b.skip(); err != nil {
			return nil, err
		}
		blocks[b.Entry.ID] = span{b.start, c.d.off}
	}
}

func (a *customFile) Kind() Kind          { return KindCustom }
func (a *customFile) TOC() *TOC           { return a.toc }
func (a *customFile) Manifest() *Manifest { return nil }
func (a *customFile) Close() error        { return a.f.Close() }

// DataSize implements [Archive].
func (a *customFile) DataSize(e *Entry) int64 {
	s := a.blocks[e.ID]
	return s.end - s.start
}

// block opens the block of an entry. What is read of it does not disturb other readers.
func (a *customFile) block(ctx context.Context, e *Entry, kind BlockType) (*Block, error) {
	s, ok := a.blocks[e.ID]
	if !ok {
		return nil, fmt.Errorf("%s has no data in %s", e.Name(), a.path)
	}
	d := newDecoder(&contextReader{ctx, io.NewSectionReader(a.f, s.start, a.size-s.start)})
	d.off, d.intSize, d.offSize = s.start, int(a.toc.Header.IntSize), int(a.toc.Header.OffSize)
	b, err := readBlock(d, a.toc)
	if err != nil {
		return nil, inFile(a.path, err)
	}
	if b.Entry != e || b.Type != kind {
		return nil, inFile(a.path, &CorruptError{Offset: s.start, Err: fmt.Errorf("the data there is not that of %s", e.Name())})
	}
	return b, nil
}

// TableData implements [Archive].
func (a *customFile) TableData(ctx context.Context, e *Entry) (io.ReadCloser, error) {
	b, err := a.block(ctx, e, BlockData)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", e.Name(), err)
	}
	return &stackedReader{&namedReader{e.Rows(b), a.path}, []io.Closer{b}}, nil
}

// LargeObjects implements [Archive].
func (a *customFile) LargeObjects(ctx context.Context, e *Entry) (LargeObjectReader, error) {
	b, err := a.block(ctx, e, BlockBlobs)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", e.Name(), err)
	}
	return &blockObjects{b, a.path}, nil
}

type blockObjects struct {
	b    *Block
	path string
}

func (o *blockObjects) Next() (uint32, io.Reader, error) {
	oid, r, err := o.b.NextLO()
	if err != nil {
		return 0, nil, inFile(o.path, err)
	}
	return oid, &namedReader{r, o.path}, nil
}

func (o *blockObjects) Close() error { return o.b.Close() }

func (a *customFile) checked() (Archive, func(context.Context) error) { return a, a.verify }

// verify walks through all blocks: they must fill the file, each where the table of contents has it.
func (a *customFile) verify(ctx context.Context) error {
	c, err := NewCustomReader(&contextReader{ctx, io.NewSectionReader(a.f, 0, a.size)})
	if err != nil {
		return inFile(a.path, err)
	}
	found, err := scanBlocks(c)
	if err != nil {
		return inFile(a.path, err)
	}
	for id, s := range a.blocks {
		if found[id].start != s.start {
			return inFile(a.path, &CorruptError{Offset: s.start, Err: fmt.Errorf("the data there is not that of %s", a.toc.ByID(id).Name())})
		}
	}
	return nil
}
