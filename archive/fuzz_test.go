package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seeds adds golden files to a fuzz target's corpus.
func seeds(f *testing.F, pattern string) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join(golden, pattern))
	if err != nil || len(paths) == 0 {
		f.Fatalf("%s: no files, %v", pattern, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

func FuzzTOC(f *testing.F) {
	seeds(f, "*-directory/toc.dat")
	seeds(f, "*-plain.dump")
	f.Fuzz(func(t *testing.T, data []byte) {
		toc, err := ReadTOC(bytes.NewReader(data))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if _, err := toc.WriteTo(&b); err != nil {
			return // such as a size of integers that is too small
		}
		again, err := ReadTOC(bytes.NewReader(b.Bytes()))
		if err != nil || !sameEntries(toc.Entries, again.Entries) || toc.Header != again.Header {
			t.Fatalf("written again it reads otherwise: %v", err)
		}
		session := NewSession(toc, RestoreOptions{})
		for _, e := range toc.Entries {
			if _, err := session.Statements(e); err != nil {
				continue
			}
			RenameDatabase(e.Defn.String, "golden", "other")
		}
		RolesNamed(toc.Entries, RestoreOptions{})
		g := NewGraph(toc, toc.Entries, nil)
		for e := g.Next(); e != nil; e = g.Next() {
			g.Done(e)
		}
		if g.Len() != 0 {
			t.Fatalf("%d entries were never ready", g.Len())
		}
	})
}

func FuzzCustom(f *testing.F) {
	seeds(f, "17-*.dump")
	seeds(f, "13-piped.dump")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewCustomReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		for {
			b, err := r.Next()
			if err != nil {
				return
			}
			if b.Type == BlockData {
				_, _ = io.Copy(io.Discard, b.Entry.Rows(b))
				continue
			}
			for {
				_, content, err := b.NextLO()
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, content)
			}
		}
	})
}

func FuzzTar(f *testing.F) {
	seeds(f, "*.tar")
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := tarMembers(bytes.NewReader(data))
		if err != nil {
			return
		}
		a := &memberArchive{store: &tarFile{io.NopCloser(nil), members}, kind: KindTar}
		if err := a.readTOC(context.Background()); err != nil {
			return
		}
		_, _ = Verify(context.Background(), a)
	})
}

func FuzzFrames(f *testing.F) {
	var frames []frame
	var file []byte
	c, err := NewCompressor(Codec{Compression: CompressionZstd}, 1)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"1\n2\n", strings.Repeat("3\n", 1000), terminator} {
		b := &block{raw: []byte(text)}
		if err := c.compress(b); err != nil {
			f.Fatal(err)
		}
		fr, err := newFrame(int64(len(file)), int64(len(b.out)), b.out, int64(len(text)))
		if err != nil {
			f.Fatal(err)
		}
		frames = append(frames, fr)
		file = append(file, b.out...)
	}
	f.Add(appendSeekTable(file, frames))
	f.Add(file)
	f.Fuzz(func(t *testing.T, data []byte) {
		frames, err := rowFrames(bytes.NewReader(data), int64(len(data)))
		if err != nil || frames == nil {
			return
		}
		q := &frameQueue{ctx: context.Background(), frames: frames}
		var split, whole rowSum
		_, splitErr := io.Copy(&split, &frameReader{q: q, file: nopReaderAt{bytes.NewReader(data)}})
		// What the frames give, the whole file gives.
		r, err := decompressFile(bytes.NewReader(data), CompressionZstd)
		if err != nil {
			t.Fatal(err)
		}
		_, wholeErr := io.Copy(&whole, newCopyReader(r))
		if splitErr == nil && wholeErr == nil && (split.rows != whole.rows || split.sum != whole.sum) {
			t.Fatalf("%d rows with hash %s in frames, %d with %s in a row", split.rows, &split, whole.rows, &whole)
		}
	})
}

func FuzzManifest(f *testing.F) {
	m := testManifest(Codec{})
	m.Files = []ManifestFile{{"toc.dat", 5, strings.Repeat("ab", 32)}}
	data, err := m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeManifest(bytes.NewReader(data))
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("encoded again it differs: %v", err)
		}
	})
}

// The seek table is the one of the zstd seekable format.
func TestSeekTableLayout(t *testing.T) {
	table := appendSeekTable(nil, []frame{{0, 10, 100, 7}, {10, 20, 200, 8}})
	want := []uint32{0x184D2A5E, 2*12 + 9, 10, 100, 7, 20, 200, 8, 2}
	for i, v := range want {
		if got := binary.LittleEndian.Uint32(table[4*i:]); got != v {
			t.Errorf("word %d: %#x, want %#x", i, got, v)
		}
	}
	if rest := table[4*len(want):]; !bytes.Equal(rest, []byte{0x80, 0xB1, 0xEA, 0x92, 0x8F}) {
		t.Errorf("footer %x", rest)
	}
	file := append(make([]byte, 30), table...)
	frames, err := readSeekTable(bytes.NewReader(file), int64(len(file)))
	if err != nil || len(frames) != 2 || frames[1] != (frame{10, 20, 200, 8}) {
		t.Errorf("%v, %v", frames, err)
	}
	if _, err := readSeekTable(bytes.NewReader(file[1:]), int64(len(file)-1)); !errors.Is(err, errSeekTable) {
		t.Error(err)
	}
}
