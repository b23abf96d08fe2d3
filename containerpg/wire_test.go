package containerpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

// collector keeps the data of frames.
type collector struct{ bytes.Buffer }

func (c *collector) sink() copywire.Sink { return copywire.Unframe(&c.Buffer) }

// failingSink takes nothing.
type failingSink struct{}

var errSink = errors.New("the sink is full")

func (failingSink) Forward([]byte) error { return errSink }

func TestWire(t *testing.T) {
	pgtest.Long(t)
	e, pg := container17(t, pgtest.NoNetwork())
	s := resolve(t, only(e, ViaExec), Selector{Name: pg.Container})
	exec17 := func(sql string) {
		t.Helper()
		conn, err := pgx.ConnectConfig(t.Context(), s.ConnConfig(""))
		if err != nil {
			t.Fatal(err)
		}
		defer session.HangUp(t.Context(), conn)
		if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	exec17(`create table numbers (n int primary key, v text); create table copy (like numbers);
		insert into numbers select n, repeat(chr(92) || chr(10) || chr(9) || md5(n::text), n % 50) from generate_series(1, 20000) n;
		insert into numbers values (0, repeat('long', 500000)), (-1, null)`)
	for _, tool := range []string{"zstd", "gzip"} {
		if tool == "gzip" {
			if out, err := exec.Command("docker", "exec", pg.Container, "mv", "/usr/bin/zstd", "/usr/bin/zstd.away").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		wire, reason, err := e.Wire(t.Context(), s, Compression{Mode: "zstd", Level: 1})
		if err != nil || !strings.Contains(reason, tool) {
			t.Fatalf("%q, %v", reason, err)
		}
		t.Run(tool, func(t *testing.T) { wireMoves(t, wire, s, exec17) })
	}
	t.Run("kept to its end", func(t *testing.T) {
		eventually(t, func() error {
			if n := tunnelsIn(t, e, s.ID); n > 0 {
				return fmt.Errorf("%d processes remain", n)
			}
			return nil
		})
		neverRestarted(t, pg)
	})
	if wire, _, err := e.Wire(t.Context(), s, Compression{Mode: "auto"}); wire != nil || err != nil {
		t.Errorf("on this machine: %v, %v", wire, err)
	}
	found, err := e.probe(t.Context(), s.ID, true)
	if err != nil || found.rate < 1<<20 || !found.tools["psql"] || found.tools["zstd"] {
		t.Errorf("the wire is %v, %v", found, err)
	}
	e.probes.rate = 4711
	if again, err := e.probe(t.Context(), s.ID, true); again.rate != 4711 || err != nil {
		t.Errorf("the wire of the same engine was measured again: %v, %v", again, err)
	}
}

func wireMoves(t *testing.T, wire *Wire, s *Server, exec17 func(string)) {
	c := copywire.Copy{
		Database: "postgres", Setup: session.Settings(s.VersionNum, session.Options{ReadOnly: true}),
		Begin: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", SQL: `COPY public.numbers (n, v) TO STDOUT`,
	}
	out := func(sql string, sink copywire.Sink) (copywire.Tally, error) {
		c.SQL = sql
		return wire.Out(t.Context(), c, sink, copywire.NewRowHash(false))
	}
	rows := &collector{}
	sent, err := out(`COPY public.numbers (n, v) TO STDOUT`, rows.sink())
	if err != nil || sent.Rows != 20002 {
		t.Fatalf("%+v, %v", sent, err)
	}
	if lines, err := out("COPY (SELECT n,\n v FROM public.numbers) TO STDOUT", nil); err != nil || lines != sent {
		t.Errorf("%+v, want %+v, %v", lines, sent, err)
	}
	var server *pgconn.PgError
	if _, err := out(`COPY public.nowhere TO STDOUT`, nil); !errors.As(err, &server) || server.Code != "42P01" {
		t.Errorf("no such table: %v", err)
	}
	if _, err := out(`COPY (SELECT 1/(20000-n) FROM public.numbers) TO STDOUT`, nil); !errors.As(err, &server) || server.Code != "22012" {
		t.Errorf("a failure among the rows: %v", err)
	}
	if _, err := out(`COPY public.numbers TO STDOUT`, failingSink{}); !errors.Is(err, errSink) {
		t.Errorf("a sink that fails: %v", err)
	}

	in := func(ctx context.Context, sql, text string) copywire.Rows {
		t.Helper()
		rows, err := wire.OpenIn(ctx, copywire.Copy{
			Database: "postgres", Setup: session.Settings(s.VersionNum, session.Options{}), Begin: "TRUNCATE public.copy", SQL: sql,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(rows, text); err != nil && text != "" {
			t.Log(err)
		}
		return rows
	}
	held := func() copywire.Tally {
		t.Helper()
		tally, err := out(`COPY public.copy (n, v) TO STDOUT`, nil)
		if err != nil {
			t.Fatal(err)
		}
		return tally
	}
	const sql = "COPY public.copy (n, v) FROM stdin WITH (FREEZE true)"
	if stored, err := in(t.Context(), sql, rows.String()).Finish(); err != nil || stored != sent.Rows {
		t.Errorf("%d rows, %v", stored, err)
	}
	if got := held(); got != sent {
		t.Errorf("%+v is held, %+v was sent", got, sent)
	}

	// What does not end well changes nothing.
	_, err = in(t.Context(), sql, "1\tone\nx\ttwo\n").Finish()
	if !errors.As(err, &server) || server.Code != "22P02" || server.Where != `COPY copy, line 2, column n: "x"` {
		t.Errorf("a row that is refused: %#v, %v", server, err)
	}
	if err := in(t.Context(), sql, "1\tone\n").Abort(errSink); !errors.Is(err, errSink) {
		t.Errorf("rows that were aborted: %v", err)
	}
	// However many rows have come, and even the end of the COPY: what the wire lost is the COMMIT.
	for _, text := range []string{rows.String(), rows.String() + "\\.\n"} {
		if err := in(t.Context(), sql, text).Abort(errSink); !errors.Is(err, errSink) {
			t.Errorf("a wire that was cut after whole rows: %v", err)
		}
	}
	if _, err := wire.OpenIn(t.Context(), copywire.Copy{Database: "postgres", SQL: "COPY public.copy FROM stdin WITH (FORMAT binary)", Binary: true}); err == nil {
		t.Error("binary rows were taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := in(ctx, sql, "1\tone\n")
	cancel()
	if _, err := cancelled.Finish(); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	eventually(t, func() error {
		if got := held(); got != sent {
			return fmt.Errorf("%+v is held, %+v was sent", got, sent)
		}
		return nil
	})
	exec17("truncate copy")
}

func TestPsqlMessages(t *testing.T) {
	got := psqlMessages(`Terminated
WARNING:  01000: take
care
psql:<stdin>:7: FEHLER:  23505: duplicate key value violates unique constraint "t_pkey"
DETAIL:  Key (n)=(1) already exists.
CONTEXT:  COPY t, line 2
SCHEMA NAME:  public
TABLE NAME:  t
CONSTRAINT NAME:  t_pkey
LOCATION:  _bt_check_unique, nbtinsert.c:666
`)
	want := messages{
		{Severity: "WARNING", Code: "01000", Message: "take\ncare"},
		{Severity: "FEHLER", Code: "23505", Message: `duplicate key value violates unique constraint "t_pkey"`, Detail: "Key (n)=(1) already exists.",
			Where: "COPY t, line 2", SchemaName: "public", TableName: "t", ConstraintName: "t_pkey"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.err() != got[1] || len(got.warnings()) != 1 {
		t.Errorf("%v, %q", got.err(), got.warnings())
	}
}

func TestParseCompression(t *testing.T) {
	for s, want := range map[string]Compression{"auto": {Mode: "auto"}, "off": {Mode: "off"}, "zstd": {Mode: "zstd"}, "zstd:9": {Mode: "zstd", Level: 9}} {
		if got, err := ParseCompression(s); err != nil || got != want || got.String() != s {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "gzip", "zstd:", "zstd:0", "zstd:23", "zstd:x", "auto:3"} {
		if _, err := ParseCompression(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}
