package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vbauerster/mpb/v8"

	"github.com/pgberth/pgberth/progress"
)

// A happening is an event and when it happens, or a tick if there is no event.
type happening struct {
	at    time.Duration
	event progress.Event
}

// play shows a run to a display.
func play(t *testing.T, d display, run []happening) {
	t.Helper()
	var now time.Time
	start := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, h := range run {
		now = start.Add(h.at)
		if h.event != nil {
			d.show(h.event, now)
		} else {
			d.tick(now)
		}
	}
	if err := d.finish(now); err != nil {
		t.Fatal(err)
	}
}

const second = time.Second

// aRun is a short migration: one big table, one small.
var aRun = []happening{
	{0, progress.PhaseStart{Phase: progress.Preflight}},
	{second / 2, progress.Notice{Text: "dropped the leftover of an interrupted run: shop_pgberth_1"}},
	{second / 2, progress.Warning{Object: "role app", Text: "its password could not be read", Remedy: `\password app on the target`}},
	{second, progress.PhaseEnd{Phase: progress.Preflight, Elapsed: second}},
	{second, progress.PhaseStart{Phase: progress.Rows, Units: 2, Bytes: 100e6}},
	{second, progress.UnitStart{Phase: progress.Rows, Object: "public.games", Bytes: 90e6}},
	{second, progress.UnitStart{Phase: progress.Rows, Object: "public.players", Bytes: 10e6}},
	{2 * second, progress.UnitBytes{Phase: progress.Rows, Object: "public.players", N: 8e6}},
	{2 * second, progress.UnitEnd{Phase: progress.Rows, Object: "public.players", Rows: 1200, Bytes: 8e6, Elapsed: second}},
	{11 * second, progress.UnitBytes{Phase: progress.Rows, Object: "public.games", N: 40e6}},
	{11 * second, nil},
	{13 * second, nil},
	{21 * second, progress.UnitBytes{Phase: progress.Rows, Object: "public.games", N: 40e6}},
	{21 * second, nil},
	{22 * second, progress.UnitEnd{Phase: progress.Rows, Object: "public.games", Rows: 45000, Bytes: 82e6, Elapsed: 21 * second}},
	{22 * second, progress.PhaseEnd{Phase: progress.Rows, Units: 2, Bytes: 90e6, Elapsed: 21 * second}},
	{22 * second, progress.PhaseStart{Phase: progress.Verify}},
	{22 * second, progress.PhaseEnd{Phase: progress.Verify}},
	{22 * second, progress.PhaseStart{Phase: progress.Swap}},
	{32 * second, nil},
	{33 * second, progress.PhaseEnd{Phase: progress.Swap, Elapsed: 11 * second}},
}

func TestLines(t *testing.T) {
	const usual = `dropped the leftover of an interrupted run: shop_pgberth_1
warning: role app: its password could not be read
  try: \password app on the target
preflight: done in 1.0s
rows: 2 tables, about 100 MB
rows: 50%, 48 MB, 4.8 MB/s, 10s left
rows: 90%, 88 MB, 4.4 MB/s, 2.2s left
rows: public.games, 45,000 rows, 82 MB in 21s
rows: done in 21s, 2 tables, 90 MB, 4.3 MB/s
swap: 10s
swap: done in 11s
`
	const verbose = `preflight
dropped the leftover of an interrupted run: shop_pgberth_1
warning: role app: its password could not be read
  try: \password app on the target
preflight: done in 1.0s
rows: 2 tables, about 100 MB
rows: public.players, 1,200 rows, 8.0 MB in 1.0s
rows: 50%, 48 MB, 4.8 MB/s, 12s left
rows: public.games, 45,000 rows, 82 MB in 21s
rows: done in 21s, 2 tables, 90 MB, 4.3 MB/s
verify
verify: done in 0ms
swap
swap: 10s
swap: done in 11s
`
	const quiet = `warning: role app: its password could not be read
  try: \password app on the target
`
	for name, test := range map[string]struct {
		display lines
		want    string
	}{
		"usual":   {lines{}, usual},
		"verbose": {lines{verbose: true}, verbose},
		"quiet":   {lines{quiet: true}, quiet},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			test.display.w = &out
			play(t, &test.display, aRun)
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJSONDisplay(t *testing.T) {
	var out bytes.Buffer
	play(t, newJSONDisplay(&out), aRun[:len(aRun)-5])
	const want = `{"event":"phase_start","phase":"preflight"}
{"event":"notice","text":"dropped the leftover of an interrupted run: shop_pgberth_1"}
{"event":"warning","object":"role app","text":"its password could not be read","remedy":"\\password app on the target"}
{"event":"phase_end","phase":"preflight","elapsed_ns":1000000000}
{"event":"phase_start","phase":"rows","units":2,"bytes":100000000}
{"event":"unit_start","phase":"rows","object":"public.games","bytes":90000000}
{"event":"unit_start","phase":"rows","object":"public.players","bytes":10000000}
{"event":"unit_bytes","phase":"rows","object":"public.players","n":8000000}
{"event":"unit_end","phase":"rows","object":"public.players","rows":1200,"bytes":8000000,"elapsed_ns":1000000000}
{"event":"unit_bytes","phase":"rows","object":"public.games","n":40000000}
{"event":"unit_bytes","phase":"rows","object":"public.games","n":40000000}
{"event":"unit_end","phase":"rows","object":"public.games","rows":45000,"bytes":82000000,"elapsed_ns":21000000000}
{"event":"phase_end","phase":"rows","units":2,"bytes":90000000,"elapsed_ns":21000000000}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSONDisplayReportsWriteError(t *testing.T) {
	broken := errors.New("broken pipe")
	d := newJSONDisplay(writerFunc(func([]byte) (int, error) { return 0, broken }))
	d.show(progress.Notice{Text: "hello"}, time.Now())
	if err := d.finish(time.Now()); !errors.Is(err, broken) {
		t.Errorf("finish: %v, want %v", err, broken)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestRows(t *testing.T) {
	var running meters
	start := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, h := range aRun[4:10] {
		running.add(h.event, start.Add(h.at))
	}
	// An index of a table that has landed, before its phase begins.
	running.add(progress.UnitStart{Phase: progress.PostData, Object: "public.games_pkey\nx"}, start.Add(9*second))
	running.add(progress.PhaseStart{Phase: progress.PostData, Units: 40}, start.Add(10*second))
	draw := func(width int) string {
		var b strings.Builder
		for _, r := range rowsOf(running, start.Add(11*second)) {
			b.WriteString(r.draw(width) + "\n")
		}
		return b.String()
	}
	const wide = `rows        [==========>-----------]  50%, 48 MB, 4.8 MB/s, 10s left
  public.games                          40 MB of about 90 MB
  public.games_pkey?x                   2.0s
post-data   [----------------------]  0%, 0 of 40 statements, 1.0s
`
	if diff := cmp.Diff(wide, draw(100)); diff != "" {
		t.Error(diff)
	}
	const narrow = `rows        [==========>-----------]  5…
  public.games…
  public.games_pkey?x…
post-data   [----------------------]  0…
`
	if diff := cmp.Diff(narrow, draw(40)); diff != "" {
		t.Error(diff)
	}
	if quick := rowsOf(running[1:], start.Add(10*second+shownAfter/2)); len(quick) > 0 {
		t.Errorf("a phase of an instant has a row: %v", quick)
	}
}

func TestRowsAreFew(t *testing.T) {
	start := time.Now()
	running := meters{{phase: progress.Rows, started: start}}
	for range 30 {
		running[0].flight = append(running[0].flight, &flight{unit: unit{progress.Rows, "t"}, started: start})
	}
	rows := rowsOf(running, start.Add(time.Second))
	if len(rows) != 1+maxFlights+1 || rows[len(rows)-1].name != "and 22 others" {
		t.Errorf("%d rows, the last is %q", len(rows), rows[len(rows)-1].name)
	}
}

// TestBars sees that what passes by stays on the terminal, in order, and that
// the rows are gone at the end.
func TestBars(t *testing.T) {
	for name, color := range map[string]bool{"color": true, "no color": false} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			d := newBars(&out, false, color, mpb.WithAutoRefresh())
			play(t, d, aRun)
			yellow := "\x1b[33mwarning:\x1b[0m role app"
			if strings.Contains(out.String(), yellow) != color {
				t.Errorf("color: got %q", out.String())
			}
			var passed []string
			for _, line := range strings.Split(out.String(), "\n") {
				if strings.Contains(line, ": done in ") {
					passed = append(passed, strings.TrimSpace(line[strings.LastIndexByte(line, '\x1b')+1:]))
				}
			}
			want := []string{"preflight: done in 1.0s", "rows: done in 21s, 2 tables, 90 MB, 4.3 MB/s", "swap: done in 11s"}
			if diff := cmp.Diff(want, passed); diff != "" {
				t.Error(diff)
			}
			if end := out.String()[strings.LastIndex(out.String(), "swap: done"):]; strings.Contains(end, "[") && !strings.HasSuffix(end, "\x1b[J") {
				t.Errorf("the terminal is left with %q", end)
			}
		})
	}
}

func TestClip(t *testing.T) {
	for _, test := range []struct {
		s     string
		width int
		want  string
	}{
		{"games", 5, "games"}, {"games", 4, "gam…"}, {"games", 0, ""}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"},
	} {
		if got := clip(test.s, test.width); got != test.want {
			t.Errorf("clip(%q, %d) = %q, want %q", test.s, test.width, got, test.want)
		}
	}
}

func TestReporterFitsTheStreams(t *testing.T) {
	env := func(string) (string, bool) { return "", false }
	var out, errs bytes.Buffer
	c := &cli{stdout: &out, stderr: &errs, env: env}
	report := func() {
		t.Helper()
		if err := c.withReporter(func(r progress.Reporter) error {
			r.Report(progress.Notice{Text: "hello"})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	report()
	c.json = true
	report()
	if got, want := errs.String(), "hello\n"; got != want {
		t.Errorf("standard error: %q, want %q", got, want)
	}
	if got, want := out.String(), `{"event":"notice","text":"hello"}`+"\n"; got != want {
		t.Errorf("standard output: %q, want %q", got, want)
	}
	if isTerminal(io.Discard) {
		t.Error("a writer that is no file is taken for a terminal")
	}
}
