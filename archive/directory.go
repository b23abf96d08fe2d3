package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// folderStore is the store of a directory archive: the files of a folder.
type folderStore struct {
	Folder
	contents *Contents        // of an archive with a manifest
	sizes    map[string]int64 // when the archive was opened
	stored   Folder           // as it was given
}

// OpenFolder opens the directory archive whose files a folder holds. An encrypted archive that none of the identities opens
// gives a [*KeyError]. The archive closes the folder; after an error the caller does.
func OpenFolder(ctx context.Context, folder Folder, identities ...Identity) (Archive, error) {
	s := &folderStore{Folder: folder, stored: folder}
	a := &memberArchive{store: s, kind: KindDirectory}
	if err := s.load(ctx, a, identities); err != nil {
		return nil, fmt.Errorf("open archive %s: %w", folder, err)
	}
	return a, nil
}

// OpenUnpublished opens the directory archive whose files a folder holds and whose manifest, m, it does not hold yet. Files that
// were written through a sealer are decrypted by it; without one it is nil. The archive closes the folder; after an
// error the caller does.
func OpenUnpublished(ctx context.Context, folder Folder, m *Manifest, sealer *Sealer) (Archive, error) {
	c := &Contents{Folder: folder, Manifest: m, stored: folder, public: m}
	if sealer != nil {
		c.plain = sealer.unseal(folder)
		c.Folder, c.Manifest = c.plain, sealer.manifest
	}
	data, err := c.Manifest.Encode()
	if err != nil {
		return nil, err
	}
	if c.Manifest, err = DecodeManifest(bytes.NewReader(data)); err != nil { // as it will be read
		return nil, err
	}
	s := &folderStore{Folder: c.Folder, contents: c, sizes: c.Manifest.sizes(), stored: folder}
	a := &memberArchive{store: s, kind: KindDirectory, manifest: c.Manifest}
	if err := a.readTOC(ctx); err != nil {
		return nil, fmt.Errorf("open archive %s: %w", folder, err)
	}
	return a, nil
}

// openDirectory opens the archive that is a directory of the file system.
func openDirectory(path string, identities []Identity) (Archive, error) {
	folder, err := OpenDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	a, err := OpenFolder(context.Background(), folder, identities...) // of a disk, which nothing interrupts
	if err != nil {
		folder.Close() // only read from
		return nil, err
	}
	return a, nil
}

// load reads the manifest, if there is one, and the table of contents. A manifest's file sizes and
// the checksum of the table of contents must hold before anything is done with the archive.
func (s *folderStore) load(ctx context.Context, a *memberArchive, identities []Identity) error {
	var err error
	if s.sizes, err = sizesOf(ctx, s.stored); err != nil {
		return err
	}
	s.contents, err = OpenContents(ctx, s.stored, identities...)
	if errors.Is(err, fs.ErrNotExist) && Damages(err) == nil { // that of the encrypted files may be missing
		return a.readTOC(ctx)
	}
	if err != nil {
		return err
	}
	a.manifest = s.contents.Manifest
	if err := s.contents.public.checkSizes(s.sizes); err != nil {
		return err
	}
	if s.contents.public.Encrypted() {
		s.Folder = s.contents.Folder
		s.sizes = a.manifest.sizes()
	}
	for _, f := range a.manifest.Files {
		if f.Name == tocName {
			if err := checkSum(ctx, s.Folder, f); err != nil {
				return err
			}
		}
	}
	return a.readTOC(ctx)
}

// sizes are those of the files of a manifest.
func (m *Manifest) sizes() map[string]int64 {
	sizes := make(map[string]int64, len(m.Files))
	for _, f := range m.Files {
		sizes[f.Name] = f.Size
	}
	return sizes
}

// ReadManifest reads the manifest of an archive. Where there is none the error wraps fs.ErrNotExist.
func ReadManifest(ctx context.Context, folder Folder) (*Manifest, error) {
	f, err := folder.Open(ctx, ManifestName)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	return DecodeManifest(f)
}

func (s *folderStore) open(ctx context.Context, name string) (storedFile, error) {
	return s.Open(ctx, name)
}

func (s *folderStore) find(name string) (string, int64, error) {
	for _, suffix := range suffixes {
		if size, found := s.sizes[name+suffix]; found {
			return name + suffix, size, nil
		}
	}
	return "", 0, missing(name)
}

// checked reads through what compares all files with the manifest.
func (s *folderStore) checked(a *memberArchive) (Archive, func(context.Context) error) {
	if a.manifest == nil {
		return a, func(context.Context) error { return a.toc.missesManifest() }
	}
	files, check := s.contents.checked()
	store, read := *s, *a
	store.Folder, read.store = files, &store
	return &read, check
}
