package archive

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden archive of layout 1.15 anew")

const converted = golden + "/1.15-convert.dump"

// writeConverted writes an archive in the layout of a converted table of contents.
func writeConverted(t testing.TB, from Archive, toc *TOC, path string) {
	t.Helper()
	c := newCompressor(t, Codec{Compression: CompressionGzip})
	w, err := CreateDirectory(path, c)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range toc.Entries {
		if !e.HasData() {
			continue
		}
		e = e.clone()
		toc.Entries[i] = e
		if e.Desc == DescTableData {
			table, err := w.Table(context.Background(), e, -1)
			if err != nil {
				t.Fatal(err)
			}
			writeRows(t, table, readTable(t, from, from.TOC().ByID(e.ID)))
			continue
		}
		l, err := w.LargeObjects(context.Background(), &toc.Header, e)
		if err != nil {
			t.Fatal(err)
		}
		addAll(t, from, l)
	}
	if err := w.Finish(context.Background(), toc, nil); err != nil {
		t.Fatal(err)
	}
}

// addAll writes the large objects of all of an archive's entries.
func addAll(t testing.TB, from Archive, to *LargeObjectWriter) {
	t.Helper()
	objects := make(map[uint32]string)
	for _, e := range from.TOC().Find(DescBlobs) {
		readObjects(t, from, e, objects)
	}
	for oid, data := range objects {
		if err := to.Add(oid, strings.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConvert(t *testing.T) {
	from := open(t, filepath.Join(golden, "17-custom.dump"))
	toc, err := from.TOC().Convert(15)
	if err != nil {
		t.Fatal(err)
	}
	blobs := toc.Find(DescBlob)
	var tags []string
	for _, b := range blobs {
		tags = append(tags, b.Tag)
		if toc.Section(b) != SectionPreData || b.Defn.String != "SELECT pg_catalog.lo_create('"+b.Tag+"');\n" || b.HasData() {
			t.Errorf("%+v", b)
		}
	}
	if !slices.Equal(tags, []string{"100001", "100002", "100003", "3000000000"}) {
		t.Error(tags)
	}
	if contents := toc.Find(DescBlobs); len(contents) != 1 || contents[0].Tag != "BLOBS" || contents[0].Owner.Valid {
		t.Errorf("%+v", contents)
	}
	for _, e := range toc.Entries {
		if e.RelKind != 0 {
			t.Errorf("%s: relation kind %d", e.Name(), e.RelKind)
		}
		if e.Desc == DescACL && strings.HasPrefix(e.Tag, "LARGE") {
			oid := strings.TrimPrefix(e.Tag, "LARGE OBJECT ")
			if e.Defn.String != "GRANT SELECT ON LARGE OBJECT "+oid+" TO \"Pit Boss\";\n" || toc.ByID(e.Deps[0]).Tag != oid {
				t.Errorf("%+v", e)
			}
		}
	}
	// What is written of it reads back the same.
	var b bytes.Buffer
	if _, err := toc.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	again, err := ReadTOC(&b)
	if err != nil || again.Header.Version() != "1.15" || !sameEntries(again.Entries, toc.Entries) {
		t.Errorf("%v", err)
	}
	// Layout 1.16 is what it was.
	same, err := from.TOC().Convert(16)
	if err != nil || !sameEntries(same.Entries, from.TOC().Entries) {
		t.Errorf("%v", err)
	}
	if _, err := from.TOC().Convert(13); err == nil {
		t.Error("converted to 1.13")
	}
}

// The golden archive of layout 1.15 is a converted one: it reads, and is what conversion gives today.
func TestConvertedGolden(t *testing.T) {
	from := open(t, filepath.Join(golden, "17-custom.dump"))
	toc, err := from.TOC().Convert(15)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	c, err := NewCustomWriter(&b, nil, toc, newCompressor(t, Codec{Compression: CompressionGzip}))
	if err != nil {
		t.Fatal(err)
	}
	original := open(t, filepath.Join(golden, "17-custom.dump"))
	for _, e := range toc.Entries {
		switch {
		case e.Desc == DescBlobs:
			l, err := c.LargeObjects(e)
			if err != nil {
				t.Fatal(err)
			}
			for _, oid := range []uint32{100001, 100002, 100003, 3000000000} {
				objects := make(map[uint32]string)
				for _, o := range original.TOC().Find(DescBlobs) {
					readObjects(t, original, o, objects)
				}
				if err := l.Add(oid, strings.NewReader(objects[oid])); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		case e.HasData():
			table, err := c.Table(e)
			if err != nil {
				t.Fatal(err)
			}
			writeRows(t, table, readTable(t, original, original.TOC().ByID(e.ID)))
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(converted, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a := open(t, converted)
	checkContents(t, readContents(t, a))
	if !sameEntries(a.TOC().Entries, toc.Entries) {
		t.Error("conversion gives other entries than the golden archive has; if it should, run the test with -update")
	}
}
