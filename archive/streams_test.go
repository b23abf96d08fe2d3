package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// testRows makes rows of mixed sizes, some longer than a block.
func testRows(n int) []string {
	rows := make([]string, n)
	for i := range rows {
		width := i % 97
		if i%1000 == 500 {
			width = 2*blockSize + i
		}
		if i%1000 == 700 {
			width = blockSize - 10
		}
		rows[i] = fmt.Sprintf("%d\t%s\n", i, strings.Repeat("x", width))
	}
	return rows
}

// One table, several streams in and several readers out: every row comes through once.
func TestManyStreamsManyReaders(t *testing.T) {
	t.Parallel()
	rows := testRows(20000)
	for _, codec := range codecs() {
		t.Run(codec.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a")
			w, err := CreateDirectory(path, newCompressor(t, codec))
			if err != nil {
				t.Fatal(err)
			}
			e := &Entry{ID: 7, HadDumper: 1, Desc: DescTableData, Tag: "t", Section: SectionData, WithOIDs: "false",
				CopyStmt: String("COPY public.t (a, b) FROM stdin;\n"), Deps: []int{6}}
			table, err := w.Table(context.Background(), e, -1)
			if err != nil {
				t.Fatal(err)
			}
			var streams sync.WaitGroup
			const n = 4
			for i := range n {
				stream := table.Stream()
				streams.Go(func() {
					for j := i; j < len(rows); j += n {
						// Some rows come in pieces.
						row := rows[j]
						for cut := j % 50; len(row) > 0; cut += 1 << 19 {
							piece := row[:min(max(cut, 1), len(row))]
							if _, err := io.WriteString(writerOnly{stream}, piece); err != nil {
								t.Error(err)
							}
							row = row[len(piece):]
						}
					}
					if err := stream.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			streams.Wait()
			stats, err := table.Close()
			if err != nil {
				t.Fatal(err)
			}
			var sum rowSum
			for _, row := range rows {
				sum.Write([]byte(row))
			}
			if stats.Rows != sum.rows || stats.Raw != sum.bytes || stats.Hash != sum.String() {
				t.Fatalf("%+v, want %d rows, %d bytes, hash %s", stats, sum.rows, sum.bytes, &sum)
			}
			toc := &TOC{Header: Header{Major: 1, Minor: 16, IntSize: 4, OffSize: 8}}
			if err := toc.SetEntries([]*Entry{e}); err != nil {
				t.Fatal(err)
			}
			m := testManifest(codec)
			m.Tables = []ManifestTable{{ID: 7, Name: "t", Rows: stats.Rows, Raw: stats.Raw, Stored: stats.Stored, Hash: stats.Hash}}
			if err := w.Finish(context.Background(), toc, m); err != nil {
				t.Fatal(err)
			}
			a := open(t, path)
			if _, err := Verify(context.Background(), a); err != nil {
				t.Fatal(err)
			}
			e = a.TOC().Entries[0]
			readers, err := a.(Splitter).SplitTable(context.Background(), e, 3)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{true: 3, false: 1}[codec.Compression == CompressionZstd]; len(readers) != want {
				t.Errorf("%d readers", len(readers))
			}
			sums := make([]rowSum, len(readers))
			for i, r := range readers {
				streams.Go(func() {
					_, err := io.Copy(&sums[i], r)
					if err := errors.Join(err, r.Close()); err != nil {
						t.Error(err)
					}
				})
			}
			streams.Wait()
			var total rowSum
			for i := range sums {
				total.merge(&sums[i])
			}
			if total.rows != sum.rows || total.String() != sum.String() {
				t.Errorf("read %d rows with hash %s", total.rows, &total)
			}
		})
	}
}

// writerOnly hides other methods, so that io.WriteString makes a copy that may be overwritten.
type writerOnly struct{ w io.Writer }

func (w writerOnly) Write(p []byte) (int, error) {
	scratch := bytes.Clone(p)
	n, err := w.w.Write(scratch)
	clear(scratch) // a writer may not keep p
	return n, err
}

func TestStreamOfCutRow(t *testing.T) {
	for _, text := range []string{"1\n2", strings.Repeat("x", 3*blockSize)} {
		w, err := CreateDirectory(filepath.Join(t.TempDir(), "a"), newCompressor(t, Codec{Compression: CompressionZstd}))
		if err != nil {
			t.Fatal(err)
		}
		table, err := w.Table(context.Background(), &Entry{ID: 1, Desc: DescTableData}, -1)
		if err != nil {
			t.Fatal(err)
		}
		first, second := table.Stream(), table.Stream()
		if _, err := io.WriteString(writerOnly{first}, text); err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); !errors.Is(err, errCutRow) {
			t.Errorf("first stream: %v", err)
		}
		if _, err := second.Write([]byte("3\n")); err != nil {
			t.Error(err)
		}
		if err := second.Close(); !errors.Is(err, errCutRow) {
			t.Errorf("second stream: %v", err)
		}
		if _, err := table.Close(); !errors.Is(err, errCutRow) {
			t.Errorf("table: %v", err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
}

// failingWriter fails after some bytes, as a full disk does.
type failingWriter struct {
	left int
	err  error
}

func (f *failingWriter) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	if f.left -= n; n < len(p) {
		return n, f.err
	}
	return n, nil
}

func TestFailingWriter(t *testing.T) {
	full := errors.New("no space left")
	from := open(t, filepath.Join(golden, "17-plain.dump"))
	var whole bytes.Buffer
	rewriteCustom(t, from, &whole, nil, Codec{Compression: CompressionZstd})
	for left := 0; left < whole.Len()-1000; left += 501 {
		err := func() error {
			toc, err := from.TOC().Convert(16)
			if err != nil {
				return err
			}
			var entries []*Entry
			for _, e := range toc.Entries {
				entries = append(entries, e.clone())
			}
			if err := toc.SetEntries(entries); err != nil {
				return err
			}
			c, err := NewCustomWriter(&failingWriter{left, full}, nil, toc, newCompressor(t, Codec{Compression: CompressionZstd}))
			if err != nil {
				return err
			}
			for _, e := range entries {
				if !e.HasData() {
					continue
				}
				if e.Desc == DescBlobs {
					l, err := c.LargeObjects(e)
					if err != nil {
						return err
					}
					if err := errors.Join(l.Add(5, strings.NewReader("x")), l.Close()); err != nil {
						return err
					}
					continue
				}
				table, err := c.Table(e)
				if err != nil {
					return err
				}
				stream := table.Stream()
				_, err = stream.Write([]byte(readTable(t, from, from.TOC().ByID(e.ID))))
				err = errors.Join(err, stream.Close())
				if _, closeErr := table.Close(); err != nil || closeErr != nil {
					return errors.Join(err, closeErr)
				}
			}
			return c.Close()
		}()
		if !errors.Is(err, full) {
			t.Fatalf("after %d bytes: %v", left, err)
		}
	}
}

// A full disk fails the run with the file's name, and nothing appears under the archive's.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("needs to mount a small file system: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	path := filepath.Join(disk, "a")
	w, err := CreateDirectory(path, newCompressor(t, Codec{}))
	if err != nil {
		t.Fatal(err)
	}
	table, err := w.Table(context.Background(), &Entry{ID: 5, Desc: DescTableData}, -1)
	if err != nil {
		t.Fatal(err)
	}
	stream := table.Stream()
	row := []byte(strings.Repeat("x", 999) + "\n")
	for range 5000 {
		if _, err = stream.Write(row); err != nil {
			break
		}
	}
	closeErr := stream.Close()
	if _, err := table.Close(); !errors.Is(closeErr, syscall.ENOSPC) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path+"/5.dat") {
		t.Errorf("stream: %v; table: %v", closeErr, err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(disk)
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// An archive that is not finished does not exist.
func TestUnfinishedDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	w, err := CreateDirectory(path, newCompressor(t, Codec{}))
	if err != nil {
		t.Fatal(err)
	}
	table, err := w.Table(context.Background(), &Entry{ID: 5, Desc: DescTableData}, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateDirectory(path, newCompressor(t, Codec{})); err == nil {
		t.Error("started over a directory with files in it")
	}
}
