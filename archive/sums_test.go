package archive

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// countingFolder counts the bytes that are read of its files.
type countingFolder struct {
	Folder
	mu   sync.Mutex
	read map[string]int64
}

func (c *countingFolder) Open(ctx context.Context, name string) (File, error) {
	f, err := c.Folder.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return &countingFile{f, c, name}, nil
}

func (c *countingFolder) add(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read[name] += int64(n)
}

type countingFile struct {
	File
	in   *countingFolder
	name string
}

func (f *countingFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.in.add(f.name, n)
	return n, err
}

func (f *countingFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.in.add(f.name, n)
	return n, err
}

// TestReadOnce verifies all data of archives, encrypted or not, published or not, in one reading: damage shows, and no file with
// data was read twice.
func TestReadOnce(t *testing.T) {
	recipient, identity := newKey(t)
	key, ids := parseKeys(t, recipient, identity)
	for _, sealed := range []bool{false, true} {
		for _, codec := range []Codec{{}, {Compression: CompressionGzip}, {Compression: CompressionZstd}} {
			to, err := newDirectoryFolder(filepath.Join(t.TempDir(), "a"))
			if err != nil {
				t.Fatal(err)
			}
			var folder FolderWriter = to
			var sealer *Sealer
			if sealed {
				if sealer, err = Seal(to, []Recipient{key}); err != nil {
					t.Fatal(err)
				}
				folder = sealer
			}
			compressor := newCompressor(t, codec)
			m := rewrite(t, open(t, filepath.Join(golden, "17-directory")), NewDirectoryWriter(folder, compressor), codec)
			published, err := OpenDirectory(to.path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { published.Close() })
			if sealed {
				if m, err = ReadManifest(t.Context(), published); err != nil {
					t.Fatal(err)
				}
			}
			for _, unpublished := range []bool{false, true} {
				counting := &countingFolder{Folder: published, read: map[string]int64{}}
				var a Archive
				if unpublished {
					a, err = OpenUnpublished(t.Context(), counting, m, sealer)
				} else {
					a, err = OpenFolder(t.Context(), counting, ids...)
				}
				if err != nil {
					t.Fatal(err)
				}
				v, err := Verify(t.Context(), a)
				if err != nil || v.Rows == 0 || v.LargeObjects == 0 {
					t.Fatalf("%+v, %v", v, err)
				}
				if len(m.Files) < 10 {
					t.Errorf("%d files", len(m.Files))
				}
				for _, f := range m.Files {
					if times := counting.read[f.Name]; times != f.Size && !strings.HasPrefix(f.Name, "toc.") && !strings.HasPrefix(f.Name, ManifestName) {
						t.Errorf("sealed %v, %v, unpublished %v: %d bytes of %s were read, which has %d", sealed, codec, unpublished, times, f.Name, f.Size)
					}
				}
			}
		}
	}
}
