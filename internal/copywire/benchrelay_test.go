package copywire_test

import (
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// Rows from one server to another, all costs included.
func BenchmarkRelay(b *testing.B) {
	from, to := pgtest.Host(b), pgtest.SharedContainer(b, 17)
	src, dst := from.CreateDB(b, "TEMPLATE template0"), to.CreateDB(b, "TEMPLATE template0")
	from.Exec(b, src, "CREATE TABLE t AS SELECT i, md5(i::text) AS a, md5((i * 3)::text) AS b FROM generate_series(1, 200000) i")
	to.Exec(b, dst, "CREATE UNLOGGED TABLE t (i int, a text, b text)")
	in, out := to.Connect(b, dst), from.Connect(b, src)
	for _, format := range []string{"text", "binary"} {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				tally, _, err := relay(b.Context(), out.PgConn(), in.PgConn(), "COPY t TO STDOUT WITH (FORMAT "+format+")",
					"COPY t FROM STDIN WITH (FORMAT "+format+")", nil)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(tally.Bytes)
			}
			to.Exec(b, dst, "TRUNCATE t")
		})
	}
}
