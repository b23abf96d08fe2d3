package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
)

// A Folder holds the files of a directory archive, wherever they are. Its methods may be called by several goroutines at once.
type Folder interface {
	// String names the folder for messages, without secrets.
	String() string
	// Open opens a file for reading. A name that is not there gives an error that wraps fs.ErrNotExist. The
	// end of ctx ends reads.
	Open(ctx context.Context, name string) (File, error)
	// List returns what is in the folder, in any order.
	List(ctx context.Context) ([]FolderEntry, error)
	Close() error
}

// A File is a file of an archive that is being read.
type File interface {
	io.ReadCloser
	io.ReaderAt
	Size() int64
}

// A FolderEntry is what a list says of a file. What is not a regular file has the size -1.
type FolderEntry struct {
	Name string
	Size int64
}

// A FolderWriter takes the files of a directory archive as they are written. Files may be written concurrently.
type FolderWriter interface {
	// String names the folder for messages, without secrets.
	String() string
	// Create starts a file. size is the number of bytes to expect, or -1; more or fewer may come.
	Create(ctx context.Context, name string, size int64) (FileWriter, error)
	// Publish writes the manifest, after all files, and makes of them an archive that is there. Without one, nil,
	// it makes an archive as stock pg_dump would have written.
	Publish(ctx context.Context, m *Manifest) error
	// Abort removes what was written. After Publish it does nothing.
	Abort() error
}

// A FileWriter is a file that is being written. It is whole and durable when Commit has returned nil. One of Commit and
// Abort must be called, once.
type FileWriter interface {
	io.Writer
	Commit() error
	Abort() error
}

// OpenDirectory opens a directory as a folder. Files are opened below it only.
func OpenDirectory(path string) (Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &directory{root: root, path: path}, nil
}

type directory struct {
	root *os.Root
	path string
}

func (d *directory) String() string { return d.path }
func (d *directory) Close() error   { return d.root.Close() }

// Open opens a regular file. Anything else, such as a FIFO, could block or lead elsewhere.
func (d *directory) Open(_ context.Context, name string) (File, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	return diskFile{f, info.Size()}, nil
}

func (d *directory) List(context.Context) ([]FolderEntry, error) {
	found, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", d.path, err)
	}
	var list []FolderEntry
	for _, f := range found {
		info, err := f.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since
		case err != nil:
			return nil, fmt.Errorf("list %s: %w", d.path, err)
		case !info.Mode().IsRegular():
			list = append(list, FolderEntry{Name: f.Name(), Size: -1})
		default:
			list = append(list, FolderEntry{Name: f.Name(), Size: info.Size()})
		}
	}
	return list, nil
}

// diskFile is a file with the size it had when it was opened.
type diskFile struct {
	*os.File
	size int64
}

func (f diskFile) Size() int64 { return f.size }

// CheckFiles holds the files of a folder against a manifest: all of them must be there with their sizes and
// checksums, and no others. Damage is reported as [*CorruptError], or as a [*DamageError] of several: all is named.
func CheckFiles(ctx context.Context, folder Folder, m *Manifest) error {
	c := checker{}
	if err := c.note(CheckSizes(ctx, folder, m)); err != nil {
		return err
	}
	return c.done(c.each(ctx, m.Files, "", sumsOf(folder, m.Files).check))
}

// CheckSizes is CheckFiles without the checksums: it reads no file.
func CheckSizes(ctx context.Context, folder Folder, m *Manifest) error {
	sizes, err := sizesOf(ctx, folder)
	if err != nil {
		return err
	}
	list := Damages(m.checkSizes(sizes))
	delete(sizes, ManifestName)
	for _, f := range m.Files {
		delete(sizes, f.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		list = append(list, &CorruptError{File: name, Err: errStranger})
	}
	return damages(list)
}

// checker collects the damage of files.
type checker struct {
	mu    sync.Mutex
	found map[string]*CorruptError
}

// note keeps damage, and returns any other error.
func (c *checker) note(err error) error {
	list := Damages(err)
	if list == nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.found == nil {
		c.found = map[string]*CorruptError{}
	}
	for _, f := range list {
		c.found[f.File] = f
	}
	return nil
}

// each checks files that nothing is known against so far. suffix is what their names have besides, stored.
func (c *checker) each(ctx context.Context, files []ManifestFile, suffix string, check func(context.Context, ManifestFile) error) error {
	unknown := slices.DeleteFunc(slices.Clone(files), func(f ManifestFile) bool { return c.found[f.Name+suffix] != nil })
	return forEachFile(ctx, unknown, func(ctx context.Context, f ManifestFile) error { return c.note(check(ctx, f)) })
}

// done is what was found, by name; and err, which may have ended the search.
func (c *checker) done(err error) error {
	var list []*CorruptError
	for _, name := range slices.Sorted(maps.Keys(c.found)) {
		list = append(list, c.found[name])
	}
	if err != nil && len(list) > 0 {
		return fmt.Errorf("%w; %w", damages(list), err)
	}
	return cmp.Or(err, damages(list))
}

// sizesOf lists a folder.
func sizesOf(ctx context.Context, folder Folder) (map[string]int64, error) {
	list, err := folder.List(ctx)
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]int64, len(list))
	for _, f := range list {
		sizes[f.Name] = f.Size
	}
	return sizes, nil
}

// checkSizes holds the sizes of files against those of the manifest.
func (m *Manifest) checkSizes(sizes map[string]int64) error {
	var list []*CorruptError
	for _, want := range m.Files {
		size, found := sizes[want.Name]
		switch {
		case !found:
			list = append(list, missing(want.Name))
		case size < 0:
			list = append(list, &CorruptError{File: want.Name, Err: errors.New("not a regular file")})
		case size != want.Size:
			list = append(list, &CorruptError{File: want.Name, Offset: min(size, want.Size),
				Err: fmt.Errorf("the file has %d bytes instead of %d", size, want.Size)})
		}
	}
	return damages(list)
}

func missing(name string) *CorruptError { return &CorruptError{File: name, Err: fs.ErrNotExist} }

// fileIn is the name of a file for messages.
func fileIn(folder fmt.Stringer, name string) string { return folder.String() + "/" + name }
