package archive

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func codecs() []Codec {
	return []Codec{{}, {CompressionGzip, 1}, {CompressionZstd, 0}, {CompressionZstd, 9}}
}

func newCompressor(t testing.TB, codec Codec) *Compressor {
	t.Helper()
	c, err := NewCompressor(codec, 2)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// testManifest is a manifest without files and tables.
func testManifest(codec Codec) *Manifest {
	at := time.Date(2026, 11, 22, 3, 4, 5, 678000, time.UTC)
	return &Manifest{
		Format:   ManifestFormat,
		Tool:     "pgberth test",
		Created:  at,
		Server:   ManifestServer{Version: "17.12", VersionNum: 170012, SystemIdentifier: "7000000000000000001"},
		Database: ManifestDatabase{Name: "golden <&>", Encoding: "UTF8", LocaleProvider: "libc", Collate: "C", CType: "C"},
		Snapshot: ManifestSnapshot{Time: at, LSN: "0/16B3748"},
		Archive:  ManifestArchive{Version: "1.16", PgRestore: 17, Compression: codec.String()},
		Clients:  map[string]string{"pg_dump": "17.12"},
		Roles:    []ManifestRole{{Name: "dealer", SQL: []string{`CREATE ROLE "dealer";`}}},
		Settings: []string{`ALTER DATABASE "golden" SET work_mem TO '8MB';`},
	}
}

// rewriteDirectory writes what an archive holds as a directory archive.
func rewriteDirectory(t testing.TB, a Archive, path string, codec Codec) *Manifest {
	t.Helper()
	w, err := CreateDirectory(path, newCompressor(t, codec))
	if err != nil {
		t.Fatal(err)
	}
	return rewrite(t, a, w, codec)
}

// rewrite writes what an archive holds.
func rewrite(t testing.TB, a Archive, w *DirectoryWriter, codec Codec) *Manifest {
	t.Helper()
	manifest := testManifest(codec)
	toc := a.TOC()
	for _, e := range toc.Entries {
		switch {
		case e.Desc == DescBlobs:
			l, err := w.LargeObjects(context.Background(), &toc.Header, e.clone())
			if err != nil {
				t.Fatal(err)
			}
			copyObjects(t, a, e, l)
			e.FileName = blobsName(&toc.Header, e)
		case e.HasData():
			text := readTable(t, a, e)
			table, err := w.Table(context.Background(), e, -1)
			if err != nil {
				t.Fatal(err)
			}
			stats := writeRows(t, table, text)
			manifest.Tables = append(manifest.Tables, ManifestTable{
				ID: e.ID, Schema: e.Namespace.String, Name: e.Tag,
				Rows: stats.Rows, Raw: stats.Raw, Stored: stats.Stored, Hash: stats.Hash,
			})
		default:
			e.FileName = ""
		}
	}
	if err := w.Finish(context.Background(), toc, manifest); err != nil {
		t.Fatal(err)
	}
	return manifest
}

// writeRows writes rows by one stream, which keeps so few in order, and checks what the writer says of them.
func writeRows(t testing.TB, w *TableWriter, text string) TableStats {
	t.Helper()
	rows := strings.SplitAfter(text, "\n")
	stream := w.Stream()
	for _, row := range rows {
		if _, err := io.WriteString(writerOnly{stream}, row); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	stats, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if stats.Rows != int64(len(rows)-1) || stats.Raw != int64(len(text)) {
		t.Errorf("%+v for %d rows, %d bytes", stats, len(rows)-1, len(text))
	}
	return stats
}

func copyObjects(t testing.TB, a Archive, e *Entry, to *LargeObjectWriter) {
	t.Helper()
	eachObject(t, a, e, to.Add)
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}

// rewriteCustom writes what an archive holds as a custom archive.
func rewriteCustom(t testing.TB, a Archive, w io.Writer, seek io.WriteSeeker, codec Codec) {
	t.Helper()
	toc := a.TOC()
	// The reader needs the old places while the writer notes the new ones.
	clone := &TOC{Header: toc.Header}
	var entries []*Entry
	for _, e := range toc.Entries {
		entries = append(entries, e.clone())
	}
	if err := clone.SetEntries(entries); err != nil {
		t.Fatal(err)
	}
	c, err := NewCustomWriter(w, seek, clone, newCompressor(t, codec))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch old := toc.ByID(e.ID); {
		case e.Desc == DescBlobs:
			l, err := c.LargeObjects(e)
			if err != nil {
				t.Fatal(err)
			}
			copyObjects(t, a, old, l)
		case e.HasData():
			table, err := c.Table(e)
			if err != nil {
				t.Fatal(err)
			}
			writeRows(t, table, readTable(t, a, old))
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRewriteDirectory(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a")
			manifest := rewriteDirectory(t, open(t, filepath.Join(golden, "17-custom.dump")), path, codec)
			a := open(t, path)
			checkContents(t, readContents(t, a))
			if diff := cmp.Diff(manifest, a.Manifest()); diff != "" {
				t.Error(diff)
			}
			v, err := Verify(context.Background(), a)
			if err != nil || v.Rows != 88 || v.Tables != 5 || v.LargeObjects != 4 {
				t.Errorf("%+v, %v", v, err)
			}
			left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestRewriteCustom(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.String(), func(t *testing.T) {
			from := open(t, filepath.Join(golden, "17-directory-zstd"))
			path := filepath.Join(t.TempDir(), "a.dump")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			rewriteCustom(t, from, f, f, codec)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			var piped bytes.Buffer
			rewriteCustom(t, from, &piped, nil, codec)
			pipedPath := filepath.Join(t.TempDir(), "piped.dump")
			if err := os.WriteFile(pipedPath, piped.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{path, pipedPath} {
				a := open(t, path)
				checkContents(t, readContents(t, a))
				if _, err := Verify(context.Background(), a); err != nil {
					t.Error(err)
				}
				state := a.TOC().Find(DescTableData)[0].Offset.State
				if want := map[bool]OffsetState{true: OffsetUnset, false: OffsetSet}[path == pipedPath]; state != want {
					t.Errorf("%s: offset state %d", path, state)
				}
			}
		})
	}
}
