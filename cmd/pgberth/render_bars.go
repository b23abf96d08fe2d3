package main

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/pgberth/pgberth/progress"
)

// bars is the display for a terminal. What is done passes by as lines, below
// which a bar stands for each running phase, with the units in flight under it.
//
// To mpb all of that is one bar of several rows: it owns the terminal's cursor
// and width, and the rows follow from the meters alone.
type bars struct {
	lines
	progress *mpb.Progress
	bar      *mpb.Bar
	rows     atomic.Pointer[[]row] // as last drawn; read from mpb's goroutine
	color    bool
}

var _ display = (*bars)(nil)

func newBars(w io.Writer, verbose, color bool, options ...mpb.ContainerOption) *bars {
	b := &bars{color: color}
	b.rows.Store(&[]row{})
	b.progress = mpb.New(append([]mpb.ContainerOption{mpb.WithOutput(w), mpb.WithRefreshRate(tickEvery)}, options...)...)
	b.lines = lines{w: b.progress, verbose: verbose}
	b.bar = b.progress.MustAdd(0, mpb.BarFillerFunc(b.first), mpb.BarFillerTrim(), mpb.BarExtender(mpb.BarFillerFunc(b.rest), false))
	return b
}

func (b *bars) show(e progress.Event, now time.Time) {
	b.running.add(e, now)
	text := b.text(e)
	if _, warns := e.(progress.Warning); warns && b.color {
		text = strings.Replace(text, "warning:", "\x1b[33mwarning:\x1b[0m", 1)
	}
	if text != "" {
		b.print(text, now)
	}
}

func (b *bars) tick(now time.Time) {
	rows := rowsOf(b.running, now)
	b.rows.Store(&rows)
}

// finish takes the rows away; what passed by stays.
func (b *bars) finish(time.Time) error {
	b.rows.Store(&[]row{})
	b.bar.Abort(true)
	b.progress.Wait()
	return nil
}

func (b *bars) first(w io.Writer, stat decor.Statistics) error {
	rows := *b.rows.Load()
	if len(rows) == 0 {
		return nil
	}
	_, err := io.WriteString(w, rows[0].draw(stat.AvailableWidth))
	return err
}

func (b *bars) rest(w io.Writer, stat decor.Statistics) error {
	rows := *b.rows.Load()
	for i := 1; i < len(rows); i++ {
		if _, err := io.WriteString(w, rows[i].draw(stat.AvailableWidth)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// A row is a line of the bars: a phase, or a unit in flight.
type row struct {
	name string
	part float64 // from 0 to 1; below 0 for a row without a bar
	text string
	unit bool
}

const (
	shownAfter = 300 * time.Millisecond // a phase that is quicker shows no bar
	maxFlights = 8                      // units shown of a phase
	phaseWidth = 10
	unitWidth  = 36
	barWidth   = 24
)

func rowsOf(running meters, now time.Time) []row {
	var rows []row
	for _, m := range running {
		if now.Sub(m.started) < shownAfter {
			continue
		}
		part, known := m.fraction()
		if !known {
			part = -1
		}
		rows = append(rows, row{name: m.phase, part: part, text: meterText(m, now)})
		for i, f := range m.flight {
			if i == maxFlights && len(m.flight) > maxFlights+1 {
				rows = append(rows, row{name: "and " + count(len(m.flight)-i, "other"), part: -1, unit: true})
				break
			}
			rows = append(rows, row{name: printable(f.object), part: -1, text: flightText(f, now), unit: true})
		}
	}
	return rows
}

// draw lays a row out in the given width. A row that is wider would wrap, and
// the terminal's cursor would get lost.
func (r row) draw(width int) string {
	if r.unit {
		return clip("  "+pad(clip(r.name, unitWidth), unitWidth)+"  "+r.text, width)
	}
	text := pad(r.name, phaseWidth) + "  "
	if r.part >= 0 {
		text += drawBar(r.part) + "  "
	}
	return clip(text+r.text, width)
}

func drawBar(part float64) string {
	var b bytes.Buffer
	const whole = 1000
	// A buffer takes all that is written.
	_ = mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding("-").Rbound("]").Build().
		Fill(&b, decor.Statistics{AvailableWidth: barWidth, Total: whole, Current: int64(part * whole)})
	return b.String()
}

// pad fills s up to width with blanks.
func pad(s string, width int) string {
	if n := width - textWidth(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// clip cuts s to width, with an ellipsis where something is gone.
func clip(s string, width int) string {
	s = strings.TrimRight(s, " ")
	if textWidth(s) <= width {
		return s
	}
	var b strings.Builder
	room := width - 1
	for _, r := range s {
		if room -= runeWidth(r); room < 0 {
			break
		}
		b.WriteRune(r)
	}
	if width < 1 {
		return ""
	}
	return strings.TrimRight(b.String(), " ") + "…"
}

func textWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// runeWidth is the number of columns a character takes at most: scripts that
// have wide characters begin at U+1100.
func runeWidth(r rune) int {
	if r >= 0x1100 && r != '…' {
		return 2
	}
	return 1
}
