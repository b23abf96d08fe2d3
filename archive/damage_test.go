package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// copyArchive copies a golden archive to where it may be damaged.
func copyArchive(t testing.TB, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(path))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = os.CopyFS(to, os.DirFS(path))
	} else {
		var data []byte
		if data, err = os.ReadFile(path); err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// verifyPath opens and verifies.
func verifyPath(path string) error {
	a, err := Open(path)
	if err != nil {
		return err
	}
	_, err = Verify(context.Background(), a)
	return errors.Join(err, a.Close())
}

// cuts reports whether a file of that size is cut at a byte: always near its ends, and elsewhere now and then, or always where there is time.
func cuts(at, size int) bool {
	const near = 8
	return pgtest.Soak() || at < near || at >= size-near || at%17 == 0
}

func TestTruncatedTOC(t *testing.T) {
	t.Parallel()
	for path, step := range map[string]int{"13-directory": 7, "17-directory": 1, "18-custom.dump": 7} {
		data, _ := tocBytes(t, filepath.Join(golden, path))
		toc, err := ReadTOC(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var whole bytes.Buffer
		if _, err := toc.WriteTo(&whole); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < whole.Len(); n += step {
			if !cuts(n, whole.Len()) && n%3 != 0 {
				continue
			}
			_, err := ReadTOC(bytes.NewReader(data[:n]))
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || !errors.Is(err, io.ErrUnexpectedEOF) || corrupt.Offset != int64(n) {
				t.Fatalf("%s cut at byte %d: %v", path, n, err)
			}
		}
	}
}

// A cut custom or tar archive is never taken for a whole one.
func TestTruncatedFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"13-plain.dump", "17-custom.dump", "17-zstd.dump", "17-lz4.dump", "17-piped.dump", "17-appended.dump", "17-tar.tar"} {
		t.Run(name, func(t *testing.T) {
			path := copyArchive(t, filepath.Join(golden, name))
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			whole := wholeLengths(t, name)
			head := tocLength(t, data)
			for n := len(data) - 1; n >= 0; n-- {
				if n%97 != 0 && (n < head || n > head+1000 && n < len(data)-1100 || !cuts(n-head, len(data)-head)) && !whole[n] {
					continue // cuts in the table of contents are tested byte by byte elsewhere
				}
				if err := os.Truncate(path, int64(n)); err != nil {
					t.Fatal(err)
				}
				if err := verifyPath(path); (err == nil) != whole[n] {
					t.Fatalf("cut at byte %d of %d: %v", n, len(data), err)
				}
			}
		})
	}
}

// wholeLengths are the places at which an archive may be cut and stays one.
func wholeLengths(t *testing.T, name string) map[int]bool {
	if name != "17-appended.dump" {
		return nil
	}
	// Without its second table of contents it is what went through the pipe.
	info, err := os.Stat(filepath.Join(golden, "17-piped.dump"))
	if err != nil {
		t.Fatal(err)
	}
	return map[int]bool{int(info.Size()): true}
}

func tocLength(t *testing.T, data []byte) int {
	t.Helper()
	if !bytes.HasPrefix(data, []byte(magic)) {
		return 0
	}
	r, err := NewCustomReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return int(r.d.off)
}

func TestTruncatedDirectoryFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"17-directory", "17-directory-zstd", "17-directory-lz4", "17-inserts"} {
		files, err := os.ReadDir(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Name() == tocName || strings.HasPrefix(f.Name(), "blobs_") || name == "17-inserts" {
				continue // the first is tested elsewhere, the others have no mark of their end
			}
			t.Run(name+"/"+f.Name(), func(t *testing.T) {
				path := copyArchive(t, filepath.Join(golden, name))
				file := filepath.Join(path, f.Name())
				info, err := f.Info()
				if err != nil {
					t.Fatal(err)
				}
				for n := info.Size() - 1; n >= 0; n-- {
					if !cuts(int(n), int(info.Size())) {
						continue
					}
					if err := os.Truncate(file, n); err != nil {
						t.Fatal(err)
					}
					err := verifyPath(path)
					var corrupt *CorruptError
					emptied := n == 0 && strings.HasPrefix(f.Name(), "blob_") && name != "17-directory" // as pg_dump has an empty one
					if !emptied && (!errors.As(err, &corrupt) || corrupt.File != f.Name()) {
						t.Fatalf("cut at byte %d: %v", n, err)
					}
				}
			})
		}
	}
}

// A bit that is wrong where the rows are is damage with a place, from a file and from a pipe, and never another error. What is not found
// out is what changes nothing, such as the last bits of a zlib stream, which mean nothing.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	ours := filepath.Join(t.TempDir(), "ours.dump")
	f, err := os.Create(ours)
	if err != nil {
		t.Fatal(err)
	}
	rewriteCustom(t, open(t, filepath.Join(golden, "17-directory")), f, f, Codec{Compression: CompressionGzip, Level: 6})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{ours, filepath.Join(golden, "17-custom.dump"), filepath.Join(golden, "13-piped.dump")} {
		t.Run(filepath.Base(from), func(t *testing.T) {
			t.Parallel()
			path := copyArchive(t, from)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := pipeText(data)
			if err != nil {
				t.Fatal(err)
			}
			checksums := 0
			for at := tocLength(t, data); at < len(data); at++ {
				bit := byte(1) << (at % 8)
				data[at] ^= bit
				text, err := pipeText(data)
				var corrupt *CorruptError
				switch {
				case err == nil && text != whole:
					t.Fatalf("byte %d: other rows from a pipe, and no error", at)
				case err != nil && (!errors.As(err, &corrupt) || corrupt.Offset == 0 && !corrupt.InText):
					t.Fatalf("byte %d, from a pipe: %v", at, err)
				}
				if errors.Is(err, zlib.ErrChecksum) {
					checksums++
				}
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := verifyPath(path); err != nil && (!errors.As(err, &corrupt) || corrupt.File != path || corrupt.Offset == 0 && !corrupt.InText) || err == nil && text != whole {
					t.Fatalf("byte %d, from a file: %v", at, err)
				}
				data[at] ^= bit
			}
			if checksums == 0 {
				t.Error("no checksum was ever wrong")
			}
		})
	}
}

// pipeText reads a custom archive from front to back, and returns the contents of all that it holds.
func pipeText(data []byte) (string, error) {
	c, err := NewCustomReader(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for {
		b, err := c.Next()
		if errors.Is(err, io.EOF) {
			return text.String(), nil
		}
		if err != nil {
			return "", err
		}
		text.WriteString(b.Entry.Name())
		if b.Type == BlockData {
			if _, err := io.Copy(&text, b.Entry.Rows(b)); err != nil {
				return "", err
			}
			continue
		}
		for {
			_, r, err := b.NextLO() // no checksum covers the number of a large object
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return "", err
			}
			if _, err := io.Copy(&text, r); err != nil {
				return "", err
			}
		}
	}
}

// Hostile lengths fail before memory is spent on them.
func TestHostileLengths(t *testing.T) {
	data, _ := tocBytes(t, filepath.Join(golden, "17-directory"))
	at := bytes.Index(data, []byte("golden")) - 4 // the length of the database's name
	for _, length := range []string{"\xff\xff\xff\x7f", "\x00\x00\x00\x40", "\xff\xff\xff\xff"} {
		hostile := bytes.Clone(data)
		copy(hostile[at:], length)
		allocated := testing.AllocsPerRun(1, func() {
			if _, err := ReadTOC(bytes.NewReader(hostile)); err == nil {
				t.Error("read")
			}
		})
		if allocated > 100 {
			t.Errorf("length %x: %v allocations", length, allocated)
		}
	}
}

func TestUnsupportedArchives(t *testing.T) {
	data, _ := tocBytes(t, filepath.Join(golden, "17-custom.dump"))
	for _, version := range [][2]byte{{1, 11}, {1, 17}, {2, 14}, {0, 12}} {
		other := bytes.Clone(data)
		copy(other[5:], version[:])
		_, err := ReadTOC(bytes.NewReader(other))
		var unsupported *VersionError
		if !errors.As(err, &unsupported) || unsupported.Major != version[0] || unsupported.Minor != version[1] {
			t.Errorf("version %v: %v", version, err)
		}
	}
	if _, err := ReadTOC(strings.NewReader("no archive at all")); !errors.Is(err, ErrNotArchive) {
		t.Error(err)
	}
}

func TestDetect(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]Kind{"17-directory": KindDirectory, "17-custom.dump": KindCustom, "17-tar.tar": KindTar} {
		if kind, err := Detect(filepath.Join(golden, path)); kind != want || err != nil {
			t.Errorf("%s: %s, %v", path, kind, err)
		}
	}
	for name, c := range map[string]struct {
		content string
		cluster bool
		advice  string
	}{
		"a b.sql":     {"--\n-- PostgreSQL database dump\n--\n\n", false, "-d DATABASE -f '"},
		"globals.sql": {"--\n-- PostgreSQL database cluster dump\n--\n", true, "-d postgres -f /"},
		"new.sql":     {"--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n", false, "psql -X"},
	} {
		_, err := Detect(write(name, c.content))
		var plain *PlainSQLError
		if !errors.As(err, &plain) || plain.Cluster != c.cluster || !strings.Contains(err.Error(), c.advice) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{write("empty", ""), write("text", "hello"), write("gz", "\x1f\x8b\x08"), dir} {
		if _, err := Detect(path); !errors.Is(err, ErrNotArchive) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Detect(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestRowsInsistOnTerminator(t *testing.T) {
	e := &Entry{Desc: DescTableData, CopyStmt: String("COPY t (a) FROM stdin;\n")}
	for _, c := range []struct {
		text, rows string
		ok         bool
	}{
		{"\\.\n\n\n", "", true},
		{"1\n2\n\\.\n\n\n", "1\n2\n", true},
		{"\\\\.\n\\.\n\n\n", "\\\\.\n", true}, // the value \.
		{"x\\.\n\\.\n\n\n", "x\\.\n", true},
		{"", "", false},
		{"1\n", "", false},
		{"1\n\\.\n\n", "", false},
		{"1\n\\.\n", "", false},
		{"1\\.\n\n\n", "", false},
		{"1\n\\.\n\n\n\n", "", false},
		{"1\n\\.\n\n\n2\n", "", false},
		{"1\n\\.\n2\n\\.\n\n\n", "", false},
		{"\\.\n\\.\n\n\n", "", false},
		{strings.Repeat("row\n", 50000) + "\\.\n\n\n", strings.Repeat("row\n", 50000), true},
		{strings.Repeat("row\n", 50000) + "\\.\n" + strings.Repeat("row\n", 50000) + "\\.\n\n\n", "", false},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.text), &oneByteReader{strings.NewReader(c.text)}} {
			got, err := io.ReadAll(e.Rows(r))
			if (err == nil) != c.ok || c.ok && string(got) != c.rows {
				t.Errorf("%.40q: %.40q, %v", c.text, got, err)
			}
		}
	}
	insert := &Entry{Desc: DescTableData}
	if got, err := io.ReadAll(insert.Rows(strings.NewReader("INSERT;\n\n\n"))); string(got) != "INSERT;\n\n\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

type oneByteReader struct{ r io.Reader }

func (o *oneByteReader) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }
