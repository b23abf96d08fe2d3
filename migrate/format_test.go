package migrate_test

import (
	"errors"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/migrate"
)

func TestCopyFormat(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := src.CreateDB(t, "TEMPLATE template0")
	src.Exec(t, db, `CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE numbers AS SELECT n::positive AS id, (ARRAY['sad', 'ok', 'happy'])[1 + n % 3]::mood AS mood FROM generate_series(1, 3000) n;
CREATE TABLE words AS SELECT n, to_tsvector('simple', 'word' || n) AS v FROM generate_series(1, 1000) n`)

	bytes := map[migrate.CopyFormat]int64{}
	for _, format := range []migrate.CopyFormat{migrate.CopyAuto, migrate.CopyText, migrate.CopyBinary} {
		opts := options(t, src, dst, db)
		opts.CopyFormat, opts.ExcludeTables, opts.Replace, opts.DropOld = format, []string{"words"}, true, true
		bytes[format] = run(t, dst, opts).Bytes
		if got := dst.Row(t, db, "SELECT count(*) || ' ' || sum(id) || ' ' || count(*) FILTER (WHERE mood = 'ok') FROM numbers"); got != "3000 4501500 1000" {
			t.Errorf("%s: %s", format, got)
		}
	}
	if bytes[migrate.CopyAuto] != bytes[migrate.CopyBinary] || bytes[migrate.CopyText] >= bytes[migrate.CopyBinary] {
		t.Errorf("bytes that travelled: %v", bytes) // text is shorter: its integers take no four bytes and a length
	}

	opts := options(t, src, dst, db)
	opts.CopyFormat, opts.Replace = migrate.CopyBinary, true
	_, err := migrate.Run(t.Context(), opts)
	var refused *migrate.PreflightError
	if !errors.As(err, &refused) || len(refused.Problems) != 1 || refused.Problems[0].Object != "table public.words" {
		t.Errorf("a type without a stable binary form: %v", err)
	}
	opts.CopyFormat = migrate.CopyAuto
	run(t, dst, opts)
	assertSame(t, src, dst, db)
}
