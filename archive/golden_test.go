package archive

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const golden = "../testdata/golden"

// goldenArchives returns the paths of all golden archives.
func goldenArchives(t testing.TB) []string {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join(golden, "*.list"))
	if err != nil || len(lists) < 20 {
		t.Fatalf("golden archives: %d found, %v", len(lists), err)
	}
	for i, l := range lists {
		lists[i] = strings.TrimSuffix(l, ".list")
	}
	return lists
}

func eachGolden(t *testing.T, test func(t *testing.T, path string)) {
	for _, path := range goldenArchives(t) {
		t.Run(filepath.Base(path), func(t *testing.T) { test(t, path) })
	}
}

func open(t testing.TB, path string) Archive {
	t.Helper()
	a, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// tocBytes is the part of an archive that its table of contents takes up, and what comes after it.
func tocBytes(t testing.TB, path string) (data []byte, alone bool) {
	t.Helper()
	switch kind, err := Detect(path); {
	case err != nil:
		t.Fatal(err)
	case kind == KindDirectory:
		path, alone = filepath.Join(path, tocName), true
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".tar") {
		members, err := tarMembers(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		data, err = io.ReadAll(members[tocName])
		if err != nil {
			t.Fatal(err)
		}
		alone = true
	}
	return data, alone
}

func TestTOCIsByteIdentical(t *testing.T) {
	eachGolden(t, func(t *testing.T, path string) {
		data, alone := tocBytes(t, path)
		toc, err := ReadTOC(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		n, err := toc.WriteTo(&again)
		if err != nil || n != int64(again.Len()) {
			t.Fatalf("wrote %d bytes of %d: %v", n, again.Len(), err)
		}
		if !bytes.HasPrefix(data, again.Bytes()) || alone && len(data) != again.Len() {
			t.Error("re-encoding differs from what pg_dump wrote")
		}
	})
}

func TestHeader(t *testing.T) {
	for path, want := range map[string]struct {
		version     string
		compression Compression
		major       int
	}{
		"13-custom.dump":    {"1.14", CompressionGzip, 13},
		"13-plain.dump":     {"1.14", CompressionNone, 13},
		"15-directory":      {"1.14", CompressionGzip, 15},
		"17-zstd.dump":      {"1.16", CompressionZstd, 17},
		"17-directory-lz4":  {"1.16", CompressionLZ4, 17},
		"17-tar.tar":        {"1.16", CompressionNone, 17},
		"18-appended.dump":  {"1.16", CompressionGzip, 18},
		"1.15-convert.dump": {"1.15", CompressionGzip, 17},
	} {
		toc := open(t, filepath.Join(golden, path)).TOC()
		h := toc.Header
		if h.Version() != want.version || h.Compression != want.compression || h.ServerMajor() != want.major {
			t.Errorf("%s: version %s, compression %s, server %d", path, h.Version(), h.Compression, h.ServerMajor())
		}
		if toc.DatabaseName() != "golden" || toc.Encoding() != "UTF8" || !toc.StdStrings() || toc.SearchPath() == "" {
			t.Errorf("%s: database %q, encoding %q, strings %v, path %q", path, toc.DatabaseName(), toc.Encoding(), toc.StdStrings(), toc.SearchPath())
		}
	}
}

// contents is what an archive holds: rows by table, sorted, and large objects by oid.
type contents struct {
	rows    map[string][]string
	objects map[uint32]string
}

func readContents(t testing.TB, a Archive) contents {
	t.Helper()
	c := contents{make(map[string][]string), make(map[uint32]string)}
	for _, e := range a.TOC().Entries {
		switch {
		case e.Desc == DescBlobs:
			readObjects(t, a, e, c.objects)
		case e.HasData():
			c.rows[e.Tag] = rowsOf(readTable(t, a, e))
		}
	}
	return c
}

func readTable(t testing.TB, a Archive, e *Entry) string {
	t.Helper()
	r, err := a.TableData(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func rowsOf(text string) []string {
	rows := strings.SplitAfter(text, "\n")
	rows = rows[:len(rows)-1] // behind the last line break
	slices.Sort(rows)
	return rows
}

// eachObject hands out the large objects of an entry.
func eachObject(t testing.TB, a Archive, e *Entry, do func(oid uint32, r io.Reader) error) {
	t.Helper()
	objects, err := a.LargeObjects(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	for {
		oid, r, err := objects.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = do(oid, r)
		}
		if err != nil {
			t.Fatalf("large object %d: %v", oid, err)
		}
	}
	if err := objects.Close(); err != nil {
		t.Fatal(err)
	}
}

func readObjects(t testing.TB, a Archive, e *Entry, into map[uint32]string) {
	t.Helper()
	eachObject(t, a, e, func(oid uint32, r io.Reader) error {
		data, err := io.ReadAll(r)
		into[oid] = string(data)
		return err
	})
}

const oddName = "Hands; \"odd\" name\n"

func TestContentsOfEveryFormat(t *testing.T) {
	eachGolden(t, func(t *testing.T, path string) {
		if strings.Contains(path, "inserts") {
			return // one table only; see TestInserts
		}
		a := open(t, path)
		checkContents(t, readContents(t, a))
		if _, err := Verify(context.Background(), a); err != nil {
			t.Error(err)
		}
	})
}

// checkContents compares with what schema.sql puts into the database.
func checkContents(t testing.TB, c contents) {
	t.Helper()
	players := c.rows["players"]
	if len(players) != 65 {
		t.Errorf("players: %d rows", len(players))
	}
	for _, row := range []string{"1\tann\t100\n", "2\tb\\\\ob\\ttab\t0\n", "3\t\\\\.\t7\n", "4\tnew\\nline\t9\n", "5\tZoë\t3\n"} {
		if !slices.Contains(players, row) {
			t.Errorf("players: row %q is missing", row)
		}
	}
	if odd := c.rows[oddName]; !slices.Equal(odd, []string{"1\thearts\n", "2\thearts\n", "3\thearts\n"}) {
		t.Errorf("table with odd name: %q", odd)
	}
	if rows, ok := c.rows["empty_table"]; !ok || len(rows) != 0 {
		t.Errorf("empty table: %q", rows)
	}
	if n := len(c.rows["parted_0"]) + len(c.rows["parted_1"]); n != 20 {
		t.Errorf("partitions: %d rows", n)
	}
	want := map[uint32]string{100001: "a large object", 100002: "", 100003: "somebody else's", 3000000000: strings.Repeat("chips ", 300)}
	for oid, text := range want {
		if got, ok := c.objects[oid]; !ok || got != text {
			t.Errorf("large object %d: %.40q, there: %v", oid, got, ok)
		}
	}
	if len(c.objects) != len(want) {
		t.Errorf("%d large objects", len(c.objects))
	}
}

func TestInserts(t *testing.T) {
	for _, path := range []string{"13-inserts", "17-inserts"} {
		a := open(t, filepath.Join(golden, path))
		e := a.TOC().Find(DescTableData)[0]
		text := readTable(t, a, e)
		if strings.Count(text, "INSERT INTO ") != 65 || !strings.Contains(text, "'new\nline'") || !strings.HasSuffix(text, ";\n\n\n") {
			t.Errorf("%s: %.200q", path, text)
		}
		if _, err := Verify(context.Background(), a); err != nil {
			t.Error(err)
		}
	}
}

// The custom reader follows a pipe: the table of contents is there before the data is.
func TestCustomReaderFollowsPipe(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(golden, "17-piped.dump"))
	if err != nil {
		t.Fatal(err)
	}
	toc, err := ReadTOC(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var head bytes.Buffer
	if _, err := toc.WriteTo(&head); err != nil {
		t.Fatal(err)
	}
	pr, pw := io.Pipe()
	rest := make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := pw.Write(data[:head.Len()])
		<-rest
		if err == nil {
			_, err = pw.Write(data[head.Len():])
		}
		pw.CloseWithError(err)
		done <- err
	}()
	r, err := NewCustomReader(pr)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.TOC().Entries) != len(toc.Entries) {
		t.Errorf("%d entries", len(r.TOC().Entries))
	}
	close(rest)
	c := contents{make(map[string][]string), make(map[uint32]string)}
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.Type == BlockData {
			text, err := io.ReadAll(b.Entry.Rows(b))
			if err != nil {
				t.Fatal(err)
			}
			c.rows[b.Entry.Tag] = rowsOf(string(text))
			continue
		}
		for {
			oid, content, err := b.NextLO()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(content)
			if err != nil {
				t.Fatal(err)
			}
			c.objects[oid] = string(text)
		}
	}
	checkContents(t, c)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

// Blocks may be skipped, wholly or in the middle.
func TestCustomReaderSkips(t *testing.T) {
	for _, path := range []string{"17-custom.dump", "17-zstd.dump", "17-lz4.dump", "17-plain.dump", "18-appended.dump"} {
		data, err := os.ReadFile(filepath.Join(golden, path))
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewCustomReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		blocks := 0
		for {
			b, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if blocks++; b.Type == BlockData && blocks%2 == 0 {
				if _, err := io.ReadFull(b, make([]byte, 2)); err != nil {
					t.Fatal(err)
				}
			}
			if b.Type == BlockBlobs && blocks%2 == 0 {
				if _, content, err := b.NextLO(); err != nil {
					t.Fatal(err)
				} else if _, err := content.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
			}
		}
		if blocks != 8 {
			t.Errorf("%s: %d blocks", path, blocks)
		}
	}
}
