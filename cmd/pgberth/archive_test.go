package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/dump"
)

func TestDumpText(t *testing.T) {
	r := &dump.Result{
		From: "postgres://app@10.0.0.5:5432/shop", Path: "/var/backups/shop", PgRestore: 17, Layout: "1.16", Compression: "zstd",
		Objects: map[string]int{"TABLE": 2, "INDEX": 12}, Tables: []dump.Table{{Name: "public.games"}, {Name: "public.players"}},
		Rows: 46_200, Raw: 90e6, Stored: 31e6, LargeObjects: 3, Elapsed: 9 * time.Second,
	}
	const want = `dumped         postgres://app@10.0.0.5:5432/shop
to             /var/backups/shop
layout         1.16, zstd, for pg_restore 17 and later
objects        14: 12 INDEX, 2 TABLE
rows           46,200 rows in 2 tables, 90 MB, stored in 31 MB
large objects  3
time           9.0s (10 MB/s)
`
	if diff := cmp.Diff(want, dumpText(r)); diff != "" {
		t.Error(diff)
	}
}

func TestContentsText(t *testing.T) {
	rows, raw := int64(12_345), int64(1_234_567)
	d := &contents{
		Path: "/var/backups/shop", Format: archive.KindDirectory, Layout: "1.16", Compression: "zstd", Created: "2025-01-02T03:04:05",
		Database: "shop", Encoding: "UTF8", ServerVersion: "17.6", DumpVersion: "17.6", Objects: map[string]int{"TABLE": 2, "TABLE DATA": 2},
		Tables: []storedTable{{Name: "public.\nodd", Stored: 47}, {Name: "public.games", Rows: &rows, Raw: &raw, Stored: 400_000}},
		Manifest: &archive.Manifest{
			Tool: "pgberth 1.2.0", Server: archive.ManifestServer{SystemIdentifier: "7711"},
			Database: archive.ManifestDatabase{LocaleProvider: "icu", Locale: "de-DE", Collate: "C"},
			Snapshot: archive.ManifestSnapshot{Time: time.Date(2025, 1, 2, 2, 4, 4, 0, time.UTC), LSN: "0/16B3748"},
			Archive:  archive.ManifestArchive{PgRestore: 17}, Roles: []archive.ManifestRole{{Name: "app"}, {Name: "reader"}},
			Tables: []archive.ManifestTable{{Rows: rows, Raw: raw}, {}}, Files: []archive.ManifestFile{{Size: 400_000}, {Size: 47}, {Size: 9000}},
		},
	}
	const want = `archive      /var/backups/shop
format       directory, layout 1.16, zstd
database     shop, UTF8
server       PostgreSQL 17.6
pg_dump      17.6
created      2025-01-02 03:04:05, by the clock of the dumping host
objects      4: 2 TABLE, 2 TABLE DATA
manifest     of pgberth 1.2.0
snapshot     2025-01-02 02:04:04 UTC, WAL 0/16B3748
system       7711
locale       icu de-DE
readable by  pg_restore 17 and later
roles        app, reader
rows         12,345 rows in 2 tables, 1.2 MB
files        3 files, 409 kB

  ROWS    SIZE    STORED  TABLE
12,345  1.2 MB    400 kB  public.games
     -       -  47 bytes  public.?odd
`
	if diff := cmp.Diff(want, contentsText(d)); diff != "" {
		t.Error(diff)
	}
}

func TestVerifiedText(t *testing.T) {
	v := &verified{Path: "shop", Manifest: true, Tables: 2, Rows: 46_200, LargeObjects: 1, Bytes: 90e6, Elapsed: 2 * time.Second}
	const want = `whole    shop
read     46,200 rows in 2 tables, 1 large object, 90 MB in 2.0s
checked  files, checksums, row counts and row hashes are those of the manifest
`
	if diff := cmp.Diff(want, verifiedText(v)); diff != "" {
		t.Error(diff)
	}
}

func TestDamageIsTold(t *testing.T) {
	err := fmt.Errorf("shop: %w", &archive.CorruptError{File: "12.dat.zst", Offset: 4711, Err: errors.New("decompress: magic number mismatch")})
	f := describeFailure(context.Background(), err)
	if f.Code != exitDiffers || f.File != "12.dat.zst" || f.Offset == nil || *f.Offset != 4711 ||
		f.Message != "shop: 12.dat.zst is damaged at byte 4711: decompress: magic number mismatch" {
		t.Errorf("%+v", f)
	}
	for name, test := range map[string]struct {
		err  error
		want int
	}{
		"no archive":      {fmt.Errorf("x: %w", archive.ErrNotArchive), exitDiffers},
		"another version": {&archive.VersionError{Major: 1, Minor: 17}, exitDiffers},
		"newer manifest":  {archive.ErrNewerManifest, exitDiffers},
		"no such path":    {fmt.Errorf("x: %w", errNoArchive), exitNotFound},
		"locked":          {fmt.Errorf("x: %w", dump.ErrLocked), exitLocked},
	} {
		if got := exitCode(context.Background(), test.err); got != test.want {
			t.Errorf("%s: exit status %d, want %d", name, got, test.want)
		}
	}
}
