package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pgberth/pgberth/internal/atomicfile"
)

// directoryFolder is a directory beside its final name, which it gets when it is complete and on the disk.
type directoryFolder struct {
	path string // final
	tmp  string
}

var _ FolderWriter = (*directoryFolder)(nil)

// CreateFolder starts a directory that will appear at path, where nothing or an empty directory may be, when it is
// published. Until then it lies beside it.
func CreateFolder(path string) (FolderWriter, error) { return newDirectoryFolder(path) }

func newDirectoryFolder(path string) (*directoryFolder, error) {
	path = filepath.Clean(path)
	found, err := os.ReadDir(path)
	switch {
	case err == nil && len(found) > 0:
		return nil, fmt.Errorf("create archive: directory %s is not empty", path)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("create archive: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, fmt.Errorf("create archive %s: %w", path, err)
	}
	return &directoryFolder{path: path, tmp: tmp}, nil
}

func (d *directoryFolder) String() string { return d.path }

func (d *directoryFolder) Create(_ context.Context, name string, _ int64) (FileWriter, error) {
	f, err := os.OpenFile(filepath.Join(d.tmp, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return flushedFile{f}, nil
}

func (d *directoryFolder) Publish(ctx context.Context, m *Manifest) error {
	if m != nil {
		if err := d.manifest(ctx, m); err != nil {
			return err
		}
	}
	return atomicfile.PublishDir(d.tmp, d.path)
}

// manifest writes the manifest when all names before it are on the disk.
func (d *directoryFolder) manifest(ctx context.Context, m *Manifest) error {
	data, err := m.Encode()
	if err != nil {
		return err
	}
	if err := atomicfile.SyncDir(d.tmp); err != nil {
		return err
	}
	f, err := d.Create(ctx, ManifestName, int64(len(data)))
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Abort())
	}
	return f.Commit()
}

func (d *directoryFolder) Abort() error { return os.RemoveAll(d.tmp) }

// flushedFile is on the disk when it is committed.
type flushedFile struct{ *os.File }

func (f flushedFile) Commit() error { return errors.Join(f.Sync(), f.Close()) }

// Abort leaves the file to the removal of its directory.
func (f flushedFile) Abort() error { return f.Close() }
