package archive

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A file is an archive from its start, wherever whoever opened it has read to.
func TestOpenFile(t *testing.T) {
	for _, name := range []string{"17-custom.dump", "17-tar.tar"} {
		f, err := os.Open(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(100, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		a, err := OpenFile(f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := Verify(t.Context(), a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDetectHead(t *testing.T) {
	for head, want := range map[string]error{
		"PGDMP\x01": nil,
		"--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n": new(PlainSQLError),
		"":      ErrNotArchive,
		"hello": ErrNotArchive,
	} {
		kind, err := DetectHead("-", []byte(head))
		var plain *PlainSQLError
		switch {
		case want == nil && (err != nil || kind != KindCustom):
			t.Errorf("%q: %s, %v", head, kind, err)
		case errors.As(want, &plain) && !errors.As(err, &plain), want == ErrNotArchive && !errors.Is(err, want):
			t.Errorf("%q: %v", head, err)
		}
	}
}

// A garbled byte of compressed rows is reported near where it is, not only by the file's checksum.
func TestVerifyNamesThePlace(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole")
	rewriteDirectory(t, open(t, filepath.Join(golden, "17-directory")), whole, Codec{Compression: CompressionZstd})
	var name string
	var size int64
	if err := filepath.WalkDir(whole, func(path string, d fs.DirEntry, err error) error {
		if info, err := d.Info(); err == nil && filepath.Ext(path) == ".zst" && info.Size() > size {
			name, size = path, info.Size()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := size / 2
	data[at] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var corrupt *CorruptError
	if err := verifyPath(whole); !errors.As(err, &corrupt) || corrupt.File != filepath.Base(name) || corrupt.InText || corrupt.Offset == 0 || corrupt.Offset > size {
		t.Errorf("byte %d of %d: %v", at, size, err)
	}
}
