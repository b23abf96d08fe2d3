package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"filippo.io/age"
)

// unsealed shows the files of a folder that were encrypted as they were before.
type unsealed struct {
	Folder
	identities func(name string) []Identity
}

var _ Folder = (*unsealed)(nil)

// over shows the files of another folder, with the same identities.
func (u *unsealed) over(folder Folder) *unsealed { return &unsealed{folder, u.identities} }

// Open implements [Folder].
func (u *unsealed) Open(ctx context.Context, name string) (File, error) {
	sealed, err := u.Folder.Open(ctx, name+SealedSuffix)
	if err != nil {
		return nil, err
	}
	f := &unsealedFile{File: sealed, name: name + SealedSuffix, ids: u.identities(name), at: window{src: sealed, size: sealed.Size()}}
	if err := f.readSmall(); err != nil {
		sealed.Close() // only read from
		return nil, err
	}
	// This also proves that the file is complete: its last piece says so.
	f.reader, f.size, err = age.DecryptReaderAt(&f.at, f.at.size, f.ids...)
	if err != nil {
		sealed.Close() // only read from
		return nil, f.explain(f.at.failed, 0, err)
	}
	return f, nil
}

// List implements [Folder]. Sizes of files that are encrypted are those of what is in them; to tell them they are opened.
func (u *unsealed) List(ctx context.Context) ([]FolderEntry, error) {
	list, err := u.Folder.List(ctx)
	if err != nil {
		return nil, err
	}
	var plain []FolderEntry
	for _, entry := range list {
		name, ok := isSealed(entry.Name)
		if !ok {
			continue // the public manifest
		}
		f, err := u.Open(ctx, name)
		if err != nil {
			return nil, err
		}
		plain = append(plain, FolderEntry{Name: name, Size: f.Size()})
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return plain, nil
}

// unsealedFile decrypts a file, from its start and at any place.
type unsealedFile struct {
	File
	name   string
	ids    []Identity
	size   int64
	reader io.ReaderAt
	mu     sync.Mutex
	at     window // guarded by mu

	small  bool // all of it has been read
	stream io.Reader
	raw    errorKeeper
}

func (f *unsealedFile) Size() int64 { return f.size }

// smallFile is how large a file may be that is read at once when it is opened: in a bucket that is one request in the place of four.
const smallFile = 256 << 10

func (f *unsealedFile) readSmall() error {
	size := f.File.Size()
	if size > smallFile {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(f.File, size+1))
	if err != nil {
		return inFile(f.name, err)
	}
	f.at.src, f.at.size = bytes.NewReader(data), int64(len(data))
	f.small = true
	return nil
}

// Read decrypts the file as it comes, to its end.
func (f *unsealedFile) Read(p []byte) (int, error) {
	if f.stream == nil {
		f.raw.r = f.File
		if f.small {
			f.raw.r = io.NewSectionReader(&f.at, 0, f.at.size)
		}
		stream, err := age.Decrypt(&f.raw, f.ids...)
		if err != nil {
			return 0, f.explain(f.raw.err, f.raw.n, err)
		}
		f.stream = stream
	}
	n, err := f.stream.Read(p)
	if err != nil && err != io.EOF {
		err = f.explain(f.raw.err, f.raw.n, err)
	}
	return n, err
}

// ReadAt decrypts a part of the file.
func (f *unsealedFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at.want(f.size, off, int64(len(p)))
	n, err := f.reader.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = f.explain(f.at.failed, off, err)
	}
	return n, err
}

// explain tells a file that could not be read from one that is not as it was encrypted.
func (f *unsealedFile) explain(reading error, at int64, err error) error {
	if reading != nil {
		return reading
	}
	return &CorruptError{File: f.name, Offset: at, Err: fmt.Errorf("decrypt: %w", unexpectedEOF(err))}
}

// errorKeeper remembers the failure of a reader, and where it is.
type errorKeeper struct {
	r   io.Reader
	n   int64
	err error
}

func (k *errorKeeper) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	k.n += int64(n)
	if err != nil && err != io.EOF {
		k.err = err
	}
	return n, err
}

// window reads all of the encrypted pieces that make up a part of a file at once: in a bucket each read is a request of its own.
type window struct {
	src    io.ReaderAt
	size   int64
	start  int64
	data   []byte
	ahead  bool // what is wanted was said and not read yet
	from   int64
	to     int64
	failed error
}

const (
	sealedPiece = 64 << 10 // of plain text
	sealedExtra = 16       // bytes that encryption adds to each
)

// want says which part of the plain text is going to be read.
func (w *window) want(plainSize, off, n int64) {
	pieces := max((plainSize+sealedPiece-1)/sealedPiece, 1)
	header := w.size - plainSize - pieces*sealedExtra
	w.from = header + off/sealedPiece*(sealedPiece+sealedExtra)
	w.to = min(header+((off+n-1)/sealedPiece+1)*(sealedPiece+sealedExtra), w.size)
	w.ahead = true
}

func (w *window) ReadAt(p []byte, off int64) (int, error) {
	if w.ahead && off >= w.from && off+int64(len(p)) <= w.to {
		if err := w.fill(); err != nil {
			w.failed = err
			return 0, err
		}
	}
	if off >= w.start && off+int64(len(p)) <= w.start+int64(len(w.data)) {
		return copy(p, w.data[off-w.start:]), nil
	}
	n, err := w.src.ReadAt(p, off)
	if err != nil && err != io.EOF {
		w.failed = err
	}
	return n, err
}

// fill reads what is wanted.
func (w *window) fill() error {
	w.ahead = false
	if n := int(w.to - w.from); cap(w.data) < n {
		w.data = make([]byte, n)
	} else {
		w.data = w.data[:n]
	}
	w.start = w.from
	n, err := w.src.ReadAt(w.data, w.from)
	w.data = w.data[:n]
	if err != nil && err != io.EOF {
		return err
	}
	return nil
}

// openSealed decrypts the manifest of an archive, which tells what else there is in it.
func openSealed(ctx context.Context, folder Folder, public *Manifest, identities []Identity) (*Contents, error) {
	noKey := &KeyError{Recipients: public.Encryption.Recipients, Given: len(identities)}
	if len(identities) == 0 {
		return nil, noKey
	}
	plain := &unsealed{Folder: folder, identities: func(string) []Identity { return identities }}
	m, err := ReadManifest(ctx, plain)
	var noMatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &noMatch):
		for _, f := range public.Files {
			if f.Name == ManifestName+SealedSuffix {
				if err := checkSum(ctx, folder, f); err != nil {
					return nil, err // the key may be the right one
				}
			}
		}
		return nil, noKey
	case errors.Is(err, fs.ErrNotExist):
		return nil, missing(ManifestName + SealedSuffix)
	case err != nil:
		return nil, err
	}
	if err := m.belongsTo(public); err != nil {
		return nil, &CorruptError{File: ManifestName, Err: err}
	}
	return &Contents{Folder: plain, Manifest: m, stored: folder, public: public, plain: plain}, nil
}

// belongsTo holds a manifest that was encrypted against what was published of it.
func (m *Manifest) belongsTo(public *Manifest) error {
	if m.Backup.ID != public.Backup.ID || m.Database.Name != public.Database.Name || m.Kind != public.Kind || m.Total() != public.Total() ||
		!m.Snapshot.Time.Equal(public.Snapshot.Time) {
		return errors.New("what it says is not what the encrypted manifest says")
	}
	names := map[string]bool{ManifestName: true}
	for _, f := range m.Files {
		names[f.Name] = true
	}
	for _, f := range public.Files {
		name, ok := isSealed(f.Name)
		if !ok || !names[name] {
			return fmt.Errorf("it lists %q, which the encrypted manifest does not know", f.Name)
		}
		delete(names, name)
	}
	for name := range names {
		return fmt.Errorf("it does not list %q, which the encrypted manifest has", name+SealedSuffix)
	}
	return nil
}
