package migrate_test

import (
	"testing"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// Rows that would travel in binary form between sessions do so as text where the target's wire is compressed.
func TestCompressedWire(t *testing.T) {
	source, target := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	engine, err := containerpg.Open(t.Context(), containerpg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	server, err := engine.Resolve(t.Context(), containerpg.Selector{Name: target.Container})
	if err != nil {
		t.Fatal(err)
	}
	db := source.CreateDB(t, "TEMPLATE template0")
	source.Exec(t, db, `CREATE TABLE numbers AS SELECT n, n * 1.5::float8 AS f, md5(n::text)::uuid AS u, now() AS at FROM generate_series(1, 20000) n`)
	opts := options(t, source, target, db)
	if opts.To.Wire, _, err = engine.Wire(t.Context(), server, containerpg.Compression{Mode: "zstd"}); err != nil {
		t.Fatal(err)
	}
	result := run(t, target, opts)
	if result.Rows != 20000 {
		t.Errorf("%d rows", result.Rows)
	}
	assertSame(t, source, target, db)
}
