package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A store holds the files of an archive: a directory, or the members of a tar file.
type store interface {
	// open opens a file by its full name, suffix included. A missing one gives an error that wraps fs.ErrNotExist.
	open(ctx context.Context, name string) (storedFile, error)
	// find completes the name that a table of contents has with the suffix of the file that is there.
	find(name string) (full string, size int64, err error)
	checked(a *memberArchive) (Archive, func(context.Context) error)
	Close() error
}

type storedFile interface {
	io.ReadCloser
	io.ReaderAt
}

// memberArchive is an archive whose data lies in a file for each table and each large object.
type memberArchive struct {
	store
	kind     Kind
	toc      *TOC
	manifest *Manifest
}

var (
	_ Archive  = (*memberArchive)(nil)
	_ Splitter = (*memberArchive)(nil)
)

func (a *memberArchive) Kind() Kind          { return a.kind }
func (a *memberArchive) TOC() *TOC           { return a.toc }
func (a *memberArchive) Manifest() *Manifest { return a.manifest }

func (a *memberArchive) checked() (Archive, func(context.Context) error) { return a.store.checked(a) }

// readTOC reads the table of contents, which must fill its file.
func (a *memberArchive) readTOC(ctx context.Context) error {
	r, full, err := a.content(ctx, tocName)
	if err != nil {
		return err
	}
	defer r.Close()
	d := newDecoder(&namedReader{r, full})
	toc, err := readTOC(d)
	if err != nil {
		return inFile(full, err)
	}
	if toc.Header.Format != FormatTar {
		return inFile(full, d.corrupt("format %d is that of a single file", toc.Header.Format))
	}
	if _, err := d.r.Peek(1); err == nil {
		return inFile(full, d.corrupt("the table of contents is followed by unknown bytes"))
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	a.toc = toc
	return nil
}

// content opens a file by the name that the table of contents has for it, and decompresses it.
func (a *memberArchive) content(ctx context.Context, name string) (r io.ReadCloser, full string, err error) {
	if !isFlatName(name) {
		return nil, "", fmt.Errorf("file name %.80q in the archive is not allowed", name)
	}
	full, _, err = a.find(name)
	if err != nil {
		return nil, "", err
	}
	f, err := a.open(ctx, full)
	if err != nil {
		return nil, "", err
	}
	_, compression := splitSuffix(full)
	counted := &countingReader{r: f}
	buffered := bufio.NewReaderSize(counted, readBuffer)
	plain, err := decompressFile(buffered, compression)
	if err != nil {
		f.Close() // only read from
		return nil, "", inFile(full, &CorruptError{Err: err})
	}
	if compression == CompressionNone {
		return &stackedReader{plain, []io.Closer{plain, f}}, full, nil
	}
	position := func() int64 { return counted.n - int64(buffered.Buffered()) }
	return &stackedReader{&decompressed{plain, position}, []io.Closer{plain, f}}, full, nil
}

// decompressed says where in the file decompression failed: at or a little before what was read last.
type decompressed struct {
	r        io.Reader
	position func() int64
}

func (d *decompressed) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && err != io.EOF {
		err = &CorruptError{Offset: d.position(), Err: fmt.Errorf("decompress: %w", err)}
	}
	return n, err
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// TableData implements [Archive].
func (a *memberArchive) TableData(ctx context.Context, e *Entry) (io.ReadCloser, error) {
	r, full, err := a.content(ctx, e.FileName)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", e.Name(), err)
	}
	rows := e.Rows(&contextReader{ctx, r})
	return &stackedReader{&namedReader{rows, full}, []io.Closer{r}}, nil
}

// DataSize implements [Archive].
func (a *memberArchive) DataSize(e *Entry) int64 {
	if _, size, err := a.find(e.FileName); err == nil {
		return size
	}
	return 0
}

// blob is a line in a list of large objects.
type blob struct {
	oid  uint32
	file string
}

// maxBlobLine bounds a line: an oid, and a file name which no file system has longer.
const maxBlobLine = 4096

// blobs reads the list of an entry's large objects.
func (a *memberArchive) blobs(ctx context.Context, e *Entry) ([]blob, error) {
	name := e.FileName
	if a.kind == KindTar || !strings.HasSuffix(name, ".toc") {
		name = blobsName(&a.toc.Header, e)
	}
	r, full, err := a.content(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var list []blob
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxBlobLine)
	for lines.Scan() {
		number, file, ok := strings.Cut(lines.Text(), " ")
		oid, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil || oid == 0 || !isFlatName(file) {
			return nil, inFile(full, &CorruptError{Err: fmt.Errorf("line %d is not an oid and a file name", len(list)+1)})
		}
		list = append(list, blob{uint32(oid), file})
	}
	if err := lines.Err(); err != nil {
		return nil, inFile(full, &CorruptError{Err: err})
	}
	return list, nil
}

// LargeObjects implements [Archive].
func (a *memberArchive) LargeObjects(ctx context.Context, e *Entry) (LargeObjectReader, error) {
	list, err := a.blobs(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", e.Name(), err)
	}
	return &memberObjects{ctx: ctx, a: a, list: list}, nil
}

// memberObjects reads large objects that are files.
type memberObjects struct {
	ctx     context.Context
	a       *memberArchive
	list    []blob
	current io.Closer
}

func (m *memberObjects) Next() (uint32, io.Reader, error) {
	if err := m.Close(); err != nil {
		return 0, nil, err
	}
	if len(m.list) == 0 {
		return 0, nil, io.EOF
	}
	b := m.list[0]
	m.list = m.list[1:]
	r, full, err := m.a.content(m.ctx, b.file)
	if err != nil {
		return 0, nil, fmt.Errorf("read large object %d: %w", b.oid, err)
	}
	m.current = r
	return b.oid, &namedReader{&contextReader{m.ctx, r}, full}, nil
}

func (m *memberObjects) Close() error {
	if m.current == nil {
		return nil
	}
	err := m.current.Close()
	m.current = nil
	return err
}
