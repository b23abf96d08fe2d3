package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"
)

// A DirectoryWriter writes a directory archive into a folder, which publishes it when it is
// complete. Tables and large objects may be written concurrently.
type DirectoryWriter struct {
	folder FolderWriter
	c      *Compressor

	mu    sync.Mutex
	files []ManifestFile
}

// NewDirectoryWriter starts an archive in an empty folder.
func NewDirectoryWriter(folder FolderWriter, c *Compressor) *DirectoryWriter {
	return &DirectoryWriter{folder: folder, c: c}
}

// CreateDirectory starts an archive that will appear at path, where nothing or an empty
// directory may be. Until then it lies beside it.
func CreateDirectory(path string, c *Compressor) (*DirectoryWriter, error) {
	folder, err := newDirectoryFolder(path)
	if err != nil {
		return nil, err
	}
	return NewDirectoryWriter(folder, c), nil
}

// Table starts the data of a TABLE DATA entry and notes the file's name in it. size is the number of bytes to
// expect in the file, or -1.
func (d *DirectoryWriter) Table(ctx context.Context, e *Entry, size int64) (*TableWriter, error) {
	e.HadDumper, e.FileName = 1, fmt.Sprintf("%d.dat", e.ID)
	codec := d.c.codec
	f, err := d.create(ctx, e.FileName+codec.Compression.suffix(), size)
	if err != nil {
		return nil, err
	}
	t := &TableWriter{
		c:        d.c,
		name:     fileIn(d.folder, f.name),
		w:        f,
		seekable: codec.Compression == CompressionZstd,
	}
	t.finish = func() error { return d.close(f, t.err) }
	return t, nil
}

// LargeObjects starts the contents of the large objects of a BLOBS entry. In archives up to
// version 1.15 there is only one such entry.
func (d *DirectoryWriter) LargeObjects(ctx context.Context, h *Header, e *Entry) (*LargeObjectWriter, error) {
	e.HadDumper, e.FileName = 1, blobsName(h, e)
	l := &LargeObjectWriter{name: e.Name()}
	l.add = func(oid uint32, content io.Reader) error {
		name := fmt.Sprintf("blob_%d.dat", oid)
		if err := d.file(ctx, name+d.c.codec.Compression.suffix(), func(w io.Writer) error {
			return d.c.copyAll(w, content)
		}); err != nil {
			return err
		}
		l.list = fmt.Appendf(l.list, "%d %s\n", oid, name)
		return nil
	}
	l.end = func() error {
		return d.file(ctx, e.FileName, func(w io.Writer) error {
			_, err := w.Write(l.list)
			return err
		})
	}
	return l, nil
}

// blobsName is the file that lists the large objects of an entry.
func blobsName(h *Header, e *Entry) string {
	if h.hasRelKind() {
		return fmt.Sprintf("blobs_%d.toc", e.ID)
	}
	return "blobs.toc"
}

// Finish writes the table of contents, then the manifest with the sizes and checksums of
// all files, and publishes the archive. manifest may be nil. All tables and large objects must
// be closed. After an error the archive must be given up with Abort.
func (d *DirectoryWriter) Finish(ctx context.Context, toc *TOC, manifest *Manifest) error {
	toc.Header.Format = FormatTar // as pg_dump marks directories
	toc.Header.Compression, toc.Header.Level = d.c.codec.Compression, headerLevel(d.c.codec)
	if manifest != nil {
		var err error
		if toc, err = toc.marked(); err != nil {
			return err
		}
	}
	if err := d.file(ctx, tocName, func(w io.Writer) error {
		_, err := toc.WriteTo(w)
		return err
	}); err != nil {
		return err
	}
	if manifest != nil {
		d.mu.Lock()
		manifest.Files = d.files
		d.mu.Unlock()
	}
	return d.folder.Publish(ctx, manifest)
}

// headerLevel is the level that headers up to version 1.14 store.
func headerLevel(c Codec) int {
	switch {
	case c.Compression == CompressionNone:
		return 0
	case c.Level == 0:
		return -1
	}
	return c.Level
}

// Abort removes what was written. After Finish it does nothing.
func (d *DirectoryWriter) Abort() error {
	if err := d.folder.Abort(); err != nil {
		return fmt.Errorf("remove unfinished archive: %w", err)
	}
	return nil
}

// archiveFile is a file of the archive being written.
type archiveFile struct {
	w    FileWriter
	name string
	size int64
	sum  hash.Hash
}

func (f *archiveFile) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	f.size += int64(n)
	f.sum.Write(p[:n])
	return n, err
}

func (d *DirectoryWriter) create(ctx context.Context, name string, size int64) (*archiveFile, error) {
	w, err := d.folder.Create(ctx, name, size)
	if err != nil {
		return nil, fmt.Errorf("create archive file: %w", err)
	}
	return &archiveFile{w: w, name: name, sum: sha256.New()}, nil
}

// close ends a file, and notes it for the manifest, if writing it did not fail.
func (d *DirectoryWriter) close(f *archiveFile, failed error) error {
	if failed != nil {
		_ = f.w.Abort() // the folder is given up as a whole
		return failed
	}
	if err := f.w.Commit(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files = append(d.files, ManifestFile{Name: f.name, Size: f.size, SHA256: hex.EncodeToString(f.sum.Sum(nil))})
	return nil
}

// file writes one whole file.
func (d *DirectoryWriter) file(ctx context.Context, name string, write func(io.Writer) error) error {
	f, err := d.create(ctx, name, -1)
	if err != nil {
		return err
	}
	if err := d.close(f, write(f)); err != nil {
		return fmt.Errorf("write %s: %w", fileIn(d.folder, name), err)
	}
	return nil
}
