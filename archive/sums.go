package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"sync"
)

var errChecksum = errors.New("wrong checksum")

// summed is a folder that holds each file which is read from its start to its end against a manifest, whatever it is read for:
// nothing is read again for its checksum only.
type summed struct {
	Folder
	want   map[string]ManifestFile
	suffix string // of the names under which the files are stored: SealedSuffix, if they are decrypted on the way here

	mu    sync.Mutex
	found map[string]error // of the files that were read; nil if they are as they should be
}

func sumsOf(folder Folder, files []ManifestFile) *summed {
	s := &summed{Folder: folder, want: make(map[string]ManifestFile, len(files)), found: map[string]error{}}
	for _, f := range files {
		s.want[f.Name] = f
	}
	return s
}

// Open implements [Folder].
func (s *summed) Open(ctx context.Context, name string) (File, error) {
	f, err := s.Folder.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return &summedFile{File: f, folder: s, want: s.want[name], sum: sha256.New()}, nil
}

// check says what is wrong with a file. It reads it, if that was not done yet.
func (s *summed) check(ctx context.Context, want ManifestFile) error {
	if found, known := s.known(want.Name); known {
		return found
	}
	f, err := s.Open(ctx, want.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return missing(want.Name + s.suffix)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, &contextReader{ctx, f})
	f.Close() // only read from
	if err != nil {
		return inFile(want.Name+s.suffix, err)
	}
	if found, known := s.known(want.Name); known {
		return found
	}
	return s.wrong(want) // in its size
}

func (s *summed) known(name string) (error, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, known := s.found[name]
	return found, known
}

func (s *summed) wrong(f ManifestFile) error {
	what := fmt.Sprintf("that of its %d bytes is not the manifest's", f.Size)
	if s.suffix != "" {
		what = "what was encrypted is not what the encrypted manifest has"
	}
	return &CorruptError{File: f.Name + s.suffix, Err: fmt.Errorf("%w: %s", errChecksum, what)}
}

type summedFile struct {
	File
	folder *summed
	want   ManifestFile
	sum    hash.Hash
	n      int64
}

func (f *summedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.sum.Write(p[:n])
	f.n += int64(n)
	return n, err
}

// Close takes note of what was found if all was read. What was read out of order does not count.
func (f *summedFile) Close() error {
	if f.n == f.want.Size {
		var wrong error
		if hex.EncodeToString(f.sum.Sum(nil)) != f.want.SHA256 {
			wrong = f.folder.wrong(f.want)
		}
		f.folder.mu.Lock()
		f.folder.found[f.want.Name] = wrong
		f.folder.mu.Unlock()
	}
	return f.File.Close()
}

// checkSum reads a file and holds it against its checksum.
func checkSum(ctx context.Context, folder Folder, want ManifestFile) error {
	return sumsOf(folder, []ManifestFile{want}).check(ctx, want)
}
