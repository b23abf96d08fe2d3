package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"github.com/pgberth/pgberth/internal/atomicfile"
)

// Contents are the files of an archive that has a manifest, decrypted if need be.
type Contents struct {
	Folder             // the files as they were before encryption
	Manifest *Manifest // of these; all of it

	stored Folder    // the files as they are stored
	public *Manifest // of these; the same manifest if nothing is encrypted
	plain  *unsealed // Folder, if they are encrypted
}

// OpenContents opens the files of an archive with a manifest. Where there is none the error wraps fs.ErrNotExist. An
// encrypted archive that none of the identities opens gives a [*KeyError]. The folder stays the caller's.
func OpenContents(ctx context.Context, folder Folder, identities ...Identity) (*Contents, error) {
	m, err := ReadManifest(ctx, folder)
	if err != nil {
		return nil, err
	}
	if m.Encrypted() {
		return openSealed(ctx, folder, m, identities)
	}
	return &Contents{Folder: folder, Manifest: m, stored: folder, public: m}, nil
}

// Stored is the manifest of the files as they are stored, encrypted or not.
func (c *Contents) Stored() *Manifest { return c.public }

// Check reads all files and holds them against their sizes and checksums, before decryption and after it. Damage is
// reported as a [*CorruptError] that names the file, or as a [*DamageError] of several.
func (c *Contents) Check(ctx context.Context) error {
	_, check := c.checked()
	return check(ctx)
}

// checked returns the files to be read, and what holds them against their sizes and checksums after that. It reads only
// those that were not read whole.
func (c *Contents) checked() (Folder, func(context.Context) error) {
	stored := sumsOf(c.stored, c.public.Files)
	files := stored
	if c.public.Encrypted() {
		files = sumsOf(c.plain.over(stored), c.Manifest.Files)
		files.suffix = SealedSuffix
	}
	return files, func(ctx context.Context) error {
		all := checker{}
		err := all.note(CheckSizes(ctx, c.stored, c.public))
		if err == nil {
			err = all.each(ctx, c.Manifest.Files, files.suffix, files.check)
		}
		if err == nil {
			err = all.each(ctx, c.public.Files, "", stored.check)
		}
		return all.done(err)
	}
}

// filesAtOnce is how many files are read side by side: in a bucket each is a request that takes its time.
const filesAtOnce = 4

func forEachFile(ctx context.Context, files []ManifestFile, do func(context.Context, ManifestFile) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(filesAtOnce)
	for _, f := range files {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return do(ctx, f)
		})
	}
	return group.Wait()
}

// CopyTo writes all files into another folder, and the manifest last. What is read is held against its checksums.
func (c *Contents) CopyTo(ctx context.Context, to FolderWriter) error {
	return CopyFiles(ctx, c.Folder, c.Manifest, to)
}

// CopyFiles copies the files of an archive as they are stored, encrypted or not, into another folder, and the manifest last.
// What is read is held against its checksums.
func CopyFiles(ctx context.Context, from Folder, m *Manifest, to FolderWriter) error {
	if err := forEachFile(ctx, m.Files, func(ctx context.Context, f ManifestFile) error { return copyFile(ctx, from, f, to) }); err != nil {
		return err
	}
	return to.Publish(ctx, m)
}

func copyFile(ctx context.Context, from Folder, want ManifestFile, to FolderWriter) error {
	f, err := from.Open(ctx, want.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return missing(want.Name)
	}
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	w, err := to.Create(ctx, want.Name, want.Size)
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", want.Name, to, err)
	}
	sum := sha256.New()
	read := &errorKeeper{r: &contextReader{ctx, f}}
	n, err := io.CopyBuffer(onlyWriter{io.MultiWriter(sum, w)}, read, make([]byte, 256<<10))
	switch {
	case read.err != nil:
		err = inFile(want.Name, read.err)
	case err != nil:
		err = fmt.Errorf("copy %s to %s: %w", want.Name, to, err)
	case n != want.Size || hex.EncodeToString(sum.Sum(nil)) != want.SHA256:
		err = &CorruptError{File: want.Name, Offset: min(n, want.Size), Err: fmt.Errorf("%w: that of its %d bytes is not the manifest's", errChecksum, n)}
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("copy %s to %s: %w", want.Name, to, err)
	}
	return nil
}

// onlyWriter hides ReaderFrom, which would choose buffers of its own.
type onlyWriter struct{ io.Writer }

// Extract writes the files as a directory, which appears at path, where nothing may be, when they have been read again and
// found whole. An error leaves nothing there.
func Extract(ctx context.Context, c *Contents, path string) (err error) {
	lock, err := atomicfile.TryLock(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := atomicfile.RemoveStale(path); err != nil {
		return err
	}
	to, err := newDirectoryFolder(path)
	if err != nil {
		return err
	}
	if err := c.CopyTo(ctx, readBack{to}); err != nil {
		return errors.Join(err, to.Abort())
	}
	return nil
}

// readBack publishes a directory when its files have been read again.
type readBack struct{ *directoryFolder }

func (r readBack) Publish(ctx context.Context, m *Manifest) (err error) {
	written, err := OpenDirectory(r.tmp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, written.Close()) }()
	if err := CheckFiles(ctx, written, m); err != nil {
		return fmt.Errorf("what was written to %s is not what was read: %w", r, err)
	}
	return r.directoryFolder.Publish(ctx, m)
}
