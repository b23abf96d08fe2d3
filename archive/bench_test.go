package archive

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"
)

// eventRows makes rows as an application's log of events has them.
func eventRows(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	kinds := []string{"buy_in", "cash_out", "seat_taken", "hand_dealt", "bet_placed"}
	var b []byte
	for id := 0; len(b) < size; id++ {
		b = fmt.Appendf(b, "%d\t2026-11-%02d %02d:%02d:%02d.%06d+00\t%s\t{\"player\": %d, \"table\": %d, \"chips\": %d}\t%x\n",
			id, 1+id/1000%28, random.IntN(24), random.IntN(60), random.IntN(60), random.IntN(1e6), kinds[random.IntN(len(kinds))],
			random.IntN(5000), random.IntN(40), random.IntN(100000), random.Uint64())
	}
	return b
}

// writeTable writes rows by one stream into a directory archive, which is thrown away if path is empty.
func writeTable(b *testing.B, path string, rows []byte, codec Codec) TableStats {
	b.Helper()
	c, err := NewCompressor(codec, runtime.GOMAXPROCS(0))
	if err != nil {
		b.Fatal(err)
	}
	w, err := CreateDirectory(path, c)
	if err != nil {
		b.Fatal(err)
	}
	e := &Entry{ID: 2, Desc: DescTableData, Tag: "t", Section: SectionData, WithOIDs: "false", CopyStmt: String("COPY t FROM stdin;\n"), Deps: []int{1}}
	t, err := w.Table(context.Background(), e, -1)
	if err != nil {
		b.Fatal(err)
	}
	s := t.Stream()
	if _, err := s.Write(rows); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	stats, err := t.Close()
	if err != nil {
		b.Fatal(err)
	}
	toc := &TOC{Header: Header{Major: 1, Minor: 16, IntSize: 4, OffSize: 8}}
	if err := toc.SetEntries([]*Entry{e}); err != nil {
		b.Fatal(err)
	}
	if err := w.Finish(context.Background(), toc, testManifest(codec)); err != nil {
		b.Fatal(err)
	}
	return stats
}

func BenchmarkWriteTable(b *testing.B) {
	rows := eventRows(64 << 20)
	for _, codec := range []Codec{{}, {Compression: CompressionZstd}, {Compression: CompressionGzip}} {
		b.Run(codec.String(), func(b *testing.B) {
			b.SetBytes(int64(len(rows)))
			var stats TableStats
			for b.Loop() {
				stats = writeTable(b, filepath.Join(b.TempDir(), "a"), rows, codec)
			}
			b.ReportMetric(float64(stats.Stored)/float64(stats.Raw), "ratio")
		})
	}
}

func BenchmarkReadTable(b *testing.B) {
	rows := eventRows(64 << 20)
	for _, codec := range []Codec{{}, {Compression: CompressionZstd}, {Compression: CompressionGzip}} {
		path := filepath.Join(b.TempDir(), "a")
		writeTable(b, path, rows, codec)
		a := open(b, path)
		for _, n := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d", codec, n), func(b *testing.B) {
				b.SetBytes(int64(len(rows)))
				for b.Loop() {
					readers, err := a.(Splitter).SplitTable(context.Background(), a.TOC().Entries[0], n)
					if err != nil {
						b.Fatal(err)
					}
					var group errgroup.Group
					for _, r := range readers {
						group.Go(func() error {
							defer r.Close()
							_, err := io.Copy(io.Discard, r)
							return err
						})
					}
					if err := group.Wait(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
