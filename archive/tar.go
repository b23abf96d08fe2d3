package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// tarFile is the store of a tar archive. pg_dump writes members uncompressed and with flat names.
type tarFile struct {
	f       io.Closer
	members map[string]*io.SectionReader
}

func openTar(f *os.File, path string) (Archive, error) {
	members, err := tarMembers(f)
	if err != nil {
		return nil, err
	}
	a := &memberArchive{store: &tarFile{f, members}, kind: KindTar}
	if err := a.readTOC(context.Background()); err != nil {
		return nil, err
	}
	if c := a.toc.Header.Compression; c != CompressionNone {
		return nil, fmt.Errorf("compression %s inside a tar archive is not supported", c)
	}
	return a, nil
}

// tarMembers reads the headers of all members.
func tarMembers(f io.ReadSeeker) (map[string]*io.SectionReader, error) {
	at, ok := f.(io.ReaderAt)
	if !ok {
		return nil, errors.New("tar archives can be read from files only")
	}
	members := make(map[string]*io.SectionReader)
	t := tar.NewReader(f)
	for {
		h, err := t.Next()
		pos, seekErr := f.Seek(0, io.SeekCurrent)
		switch {
		case seekErr != nil:
			return nil, fmt.Errorf("read tar archive: %w", seekErr)
		case errors.Is(err, io.EOF):
			return members, tarEnd(f, pos)
		case err != nil:
			return nil, &CorruptError{Offset: pos, Err: unexpectedEOF(err)}
		case h.Typeflag != tar.TypeReg || !isFlatName(h.Name) || members[h.Name] != nil:
			return nil, &CorruptError{Offset: pos, Err: fmt.Errorf("unexpected member %.80q", h.Name)}
		case len(members) == 0 && h.Name != tocName:
			return nil, &CorruptError{Offset: pos, Err: fmt.Errorf("%s is not the first member", tocName)}
		}
		members[h.Name] = io.NewSectionReader(at, pos, h.Size)
	}
}

// tarEnd checks the end of a tar archive: the zero blocks that mark it, and nothing else behind them.
func tarEnd(f io.ReadSeeker, pos int64) error {
	const mark = 2 * 512
	// Next has read the mark where it is whole.
	start := max(pos-mark, 0)
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return fmt.Errorf("read tar archive: %w", err)
	}
	buf := make([]byte, 64<<10)
	total := int64(0)
	for {
		n, err := f.Read(buf)
		for i, b := range buf[:n] {
			if b != 0 {
				return &CorruptError{Offset: start + total + int64(i), Err: errors.New("unknown bytes at the end of the tar archive")}
			}
		}
		total += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read tar archive: %w", err)
		}
	}
	if total < mark {
		return &CorruptError{Offset: start + total, Err: fmt.Errorf("the end of the tar archive is missing: %w", io.ErrUnexpectedEOF)}
	}
	return nil
}

func (t *tarFile) open(_ context.Context, name string) (storedFile, error) {
	m := t.members[name]
	if m == nil {
		return nil, &CorruptError{File: name, Err: fmt.Errorf("the member is missing: %w", fs.ErrNotExist)}
	}
	return sectionFile{io.NewSectionReader(m, 0, m.Size())}, nil
}

func (t *tarFile) find(name string) (string, int64, error) {
	m := t.members[name]
	if m == nil {
		return "", 0, &CorruptError{File: name, Err: fmt.Errorf("the member is missing: %w", fs.ErrNotExist)}
	}
	return name, m.Size(), nil
}

func (t *tarFile) checked(a *memberArchive) (Archive, func(context.Context) error) {
	return a, func(context.Context) error { return nil }
}

func (t *tarFile) Close() error { return t.f.Close() }

// sectionFile is a part of a file that stays open when the part is closed.
type sectionFile struct{ *io.SectionReader }

func (sectionFile) Close() error { return nil }
