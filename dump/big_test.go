package dump_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// memoryLimit is what a run may take at 8 streams, whatever the sizes.
const memoryLimit = 200 << 20

// measured runs the program, and holds it to the limit.
func measured(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peak := pgtest.WatchMemory(t, cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, &stderr)
	}
	used := peak()
	t.Logf("%s: at most %d MB of memory", cmd.Args[1], used>>20)
	if used == 0 || used > memoryLimit {
		t.Errorf("%s took %d MB of memory", cmd.Args[1], used>>20)
	}
	return stdout.String()
}

// A large table leaves in several streams and comes back in several, and neither it nor rows of any size
// take more memory than is said.
func TestBigTables(t *testing.T) {
	s := pgtest.Host(t)
	events, hands, phrases := 330_000, 8, 6_000_000 // one row of the novel, held once, is over the limit
	if pgtest.Soak() {
		events, hands, phrases = 1_000_000, 24, 9_000_000
	}
	db := s.CreateDB(t, "TEMPLATE template0")
	s.Exec(t, db, `
CREATE TABLE events (id int, at timestamptz, who text, amount numeric(12,2), note text);
INSERT INTO events SELECT i, '2025-01-01'::timestamptz + i * interval '1 s', 'player ' || i % 5000, i % 9973 / 100.0, md5(i::text) || md5((i + 1)::text)
FROM generate_series(1, `+itoa(events)+`) i;
CREATE INDEX ON events (who);
CREATE TABLE hands (id int, cards text);
ALTER TABLE hands ALTER cards SET STORAGE external; -- the server need not compress what is easy to compress
INSERT INTO hands SELECT i, repeat(md5(i::text), 60000 + i) FROM generate_series(1, `+itoa(hands)+`) i;
CREATE TABLE novel (text text);
ALTER TABLE novel ALTER text SET STORAGE external;
INSERT INTO novel VALUES (repeat('All work and no play. ', `+itoa(phrases)+`)), (NULL), (E'\\.'), ('');
CREATE TABLE small AS SELECT generate_series(1, 1000) AS id`)
	path := t.TempDir() + "/archive"
	output := measured(t, pgtest.Pgberth(t, "dump", "--from", s.URL(db), "--file", path, "--jobs=8", "--compress=zstd", "--pg-restore=16", "--json"))
	if n := unitStarts(t, output, "public.events"); n < 2 {
		t.Errorf("the large table left in %d streams", n)
	}

	a, err := archive.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var rows string
	for _, e := range a.TOC().Find(archive.DescTableData) {
		if e.Tag != "events" {
			continue
		}
		readers, err := a.(archive.Splitter).SplitTable(t.Context(), e, 4)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range readers {
			r.Close()
		}
		if len(readers) != 4 {
			t.Errorf("the large table comes in %d streams", len(readers))
		}
		rows = itoa(int(a.Manifest().Table(e.ID).Rows))
	}
	if want := s.Row(t, db, "SELECT count(*) FROM events"); rows != want {
		t.Errorf("the manifest has %s rows, the table %s", rows, want)
	}

	restored := pgtest.NewName("big")
	t.Cleanup(func() { s.DropDB(t, restored) })
	measured(t, pgtest.Pgberth(t, "restore", path, "--to", s.URL(restored), "--jobs=4", "--verify=data", "--json"))
	for _, query := range []string{
		"SELECT count(*), sum(hashtext(e::text)) FROM events e",
		"SELECT count(*), sum(hashtext(cards)), sum(length(cards)) FROM hands",
		"SELECT md5(string_agg(coalesce(text, 'NULL'), '|' ORDER BY length(text))) FROM novel",
		"SELECT count(*), sum(id) FROM small",
	} {
		if want, got := s.Row(t, db, query), s.Row(t, restored, query); want != got {
			t.Errorf("%s: %s at the source, %s restored", query, want, got)
		}
	}
	if !pgtest.Soak() {
		return
	}
	const length = "SELECT max(length(text)) FROM novel"
	if got := stockRestored(t, s, dumped(t, s, db, "--table=novel", "--compress=gzip:1")); s.Row(t, got, length) != s.Row(t, db, length) {
		t.Error("pg_restore reads a row of 198 MB otherwise")
	}
}

// unitStarts counts how often a worker took up a part of a table.
func unitStarts(t testing.TB, events, object string) int {
	t.Helper()
	n := 0
	for lines := bufio.NewScanner(strings.NewReader(events)); lines.Scan(); {
		var e struct{ Event, Object string }
		if err := json.Unmarshal(lines.Bytes(), &e); err == nil && e.Event == "unit_start" && e.Object == object {
			n++
		}
	}
	return n
}
