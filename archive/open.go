package archive

import (
	"context"
	"fmt"
	"io"
	"os"
)

// An Archive is an archive at rest, whose data can be read in any order and by several
// goroutines at once.
type Archive interface {
	Kind() Kind
	TOC() *TOC
	// Manifest is what pgberth wrote beside the table of contents, or nil in an archive of other tools.
	Manifest() *Manifest
	// TableData returns the rows of an entry as COPY sends them, without the terminator. The end
	// of the reader proves that the rows are complete: a short or garbled file is an error.
	// Entries made with --inserts give SQL instead.
	TableData(ctx context.Context, e *Entry) (io.ReadCloser, error)
	// LargeObjects returns the contents of the large objects of a BLOBS entry.
	LargeObjects(ctx context.Context, e *Entry) (LargeObjectReader, error)
	// DataSize is the number of bytes the rows of an entry take up in the archive.
	DataSize(e *Entry) int64
	Close() error

	// checked returns the archive to read, and what checks after that whatever reading all entries with data does not.
	checked() (Archive, func(context.Context) error)
}

// A Splitter is an archive that can hand the rows of one table to several readers.
type Splitter interface {
	// SplitTable returns at most n readers that together return every row of an entry once, each
	// reader whole rows. Only when all have ended without error were the rows complete. Where
	// a table cannot be split there is one reader.
	SplitTable(ctx context.Context, e *Entry, n int) ([]io.ReadCloser, error)
}

// A LargeObjectReader iterates over large objects. Next returns the oid and the content of the
// next one, which is valid until the call after; io.EOF comes after the last one.
type LargeObjectReader interface {
	Next() (oid uint32, content io.Reader, err error)
	Close() error
}

// Open opens the archive at a path, whatever its format. One that is encrypted needs an identity; see [OpenFolder].
func Open(path string, identities ...Identity) (Archive, error) {
	kind, err := Detect(path)
	if err != nil {
		return nil, err
	}
	if kind == KindDirectory {
		return openDirectory(path, identities)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	a, err := OpenFile(f)
	if err != nil {
		f.Close() // only read from
		return nil, err
	}
	return a, nil
}

// OpenFile opens the custom or tar archive that fills a regular file, whatever the file's offset is. The
// archive closes the file; after an error the caller does.
func OpenFile(f *os.File) (Archive, error) {
	kind, err := detectFile(f.Name(), f)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	open := openCustom
	if kind == KindTar {
		open = openTar
	}
	a, err := open(f, f.Name())
	return a, inFile(f.Name(), err)
}

// contextReader stops reading when a context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// stackedReader reads from the top of a stack of readers and closes the stack.
type stackedReader struct {
	io.Reader
	closers []io.Closer // top first
}

func (s *stackedReader) Close() error {
	var first error
	for _, c := range s.closers {
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// namedReader says in which file an error arose.
type namedReader struct {
	r    io.Reader
	name string
}

func (n *namedReader) Read(p []byte) (int, error) {
	got, err := n.r.Read(p)
	return got, inFile(n.name, err)
}
