package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/pgberth/pgberth/compare"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
)

// newReporter starts the display that suits the flags and the terminal. The
// caller closes it before it prints anything else.
func (c *cli) newReporter() *relay {
	switch {
	case c.json:
		return newRelay(newJSONDisplay(c.stdout))
	case !c.quiet && isTerminal(c.stderr) && c.env.get("TERM") != "dumb":
		return newRelay(newBars(c.stderr, c.verbose, c.env.get("NO_COLOR") == ""))
	}
	return newRelay(&lines{w: c.stderr, quiet: c.quiet, verbose: c.verbose})
}

// withReporter runs do with a display, which is gone when it returns.
func (c *cli) withReporter(do func(progress.Reporter) error) error {
	r := c.newReporter()
	err := do(r)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return err
}

// stopsAfter is how long a run may take to stop until it says that it does.
const stopsAfter = 2 * time.Second

// stopping says of a run that takes a while to stop, as where the target answers no more, that it does. The run calls done at its end.
func stopping(ctx context.Context, reporter progress.Reporter) (done func()) {
	ended := make(chan struct{})
	context.AfterFunc(ctx, func() {
		select {
		case <-ended:
		case <-time.After(stopsAfter):
			reporter.Report(progress.Notice{Text: "stopping; a second signal ends pgberth at once, and leaves to the next run what there is to clean up"})
		}
	})
	return func() { close(ended) }
}

// isTerminal tells of standard input, output or error whether it is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// unitNouns are what the units of a phase are, for the phases whose units are
// not statements.
var unitNouns = map[string]string{
	progress.Rows:      "table",
	progress.Verify:    "table",
	progress.Roles:     "role",
	progress.Sequences: "sequence",
	progress.Analyze:   "table",
	progress.ReadBack:  "file",
	progress.Copy:      "file",

	compare.PhaseCatalog: "topic",
}

func unitNoun(phase string) string {
	if noun := unitNouns[phase]; noun != "" {
		return noun
	}
	return "statement"
}

// slowUnit is how long a unit takes that is worth a line of its own.
const slowUnit = 5 * time.Second

// phaseStartText announces a phase: "rows: 21 tables, about 1.2 GB".
func phaseStartText(e progress.PhaseStart) string {
	var parts []string
	if e.Units > 0 {
		parts = append(parts, count(e.Units, unitNoun(e.Phase)))
	}
	if e.Bytes > 0 {
		parts = append(parts, "about "+human.Bytes(e.Bytes))
	}
	if len(parts) == 0 {
		return e.Phase
	}
	return e.Phase + ": " + strings.Join(parts, ", ")
}

// phaseEndText closes a phase: "rows: done in 12s, 21 tables, 1.2 GB, 98 MB/s".
func phaseEndText(e progress.PhaseEnd) string {
	parts := []string{"done in " + human.Duration(e.Elapsed)}
	if e.Units > 0 {
		parts = append(parts, count(e.Units, unitNoun(e.Phase)))
	}
	if e.Bytes > 0 {
		parts = append(parts, human.Bytes(e.Bytes), human.Rate(e.Bytes, e.Elapsed))
	}
	return e.Phase + ": " + strings.Join(parts, ", ")
}

// unitEndText tells of a unit that is done:
// "rows: public.games, 12,345 rows, 120 MB in 3.1s".
func unitEndText(e progress.UnitEnd) string {
	text := e.Phase + ": " + printable(e.Object)
	if e.Rows > 0 || e.Bytes > 0 {
		text += ", " + count(e.Rows, "row") + ", " + human.Bytes(e.Bytes)
	}
	return text + " in " + human.Duration(e.Elapsed)
}

// meterText tells how far a phase is, without its name:
// "43%, 512 MB, 98 MB/s, 8s left".
func meterText(m *meter, now time.Time) string {
	var parts []string
	if part, known := m.fraction(); known {
		parts = append(parts, percent(part))
	}
	elapsed := now.Sub(m.started)
	switch {
	case m.moved > 0:
		parts = append(parts, human.Bytes(m.moved), human.Rate(m.moved, m.movedAt.Sub(m.started)))
	case m.units > 0:
		parts = append(parts, human.Thousands(m.unitsDone)+" of "+count(m.units, unitNoun(m.phase)))
	}
	if left, known := m.left(now); known {
		return strings.Join(append(parts, human.Duration(left)+" left"), ", ")
	}
	return strings.Join(append(parts, human.Duration(elapsed)), ", ")
}

// percent stays below 100: a phase whose units are all done may still wait for
// others, and at its end it is not shown.
func percent(part float64) string {
	return fmt.Sprintf("%d%%", min(int(part*100), 99))
}

// flightText tells how far a unit in flight is: "120 MB of about 300 MB".
func flightText(f *flight, now time.Time) string {
	switch {
	case f.moved > 0 && f.expected > f.moved:
		return human.Bytes(f.moved) + " of about " + human.Bytes(f.expected)
	case f.moved > 0:
		return human.Bytes(f.moved)
	}
	return human.Duration(now.Sub(f.started))
}

func warningText(e progress.Warning) string {
	text := "warning: "
	if e.Object != "" {
		text += printable(e.Object) + ": "
	}
	text += printableText(e.Text)
	if e.Remedy != "" {
		text += "\n  try: " + printableText(e.Remedy)
	}
	return text
}

// printableText is printable for a text that may have lines and columns.
func printableText(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return visible(r)
	}, text)
}

// printable keeps a name on its line: the names of database objects may hold
// line breaks and the codes that move a terminal's cursor.
func printable(name string) string {
	return strings.Map(visible, name)
}

func visible(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return '?'
	}
	return r
}
