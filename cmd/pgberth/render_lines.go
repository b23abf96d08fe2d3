package main

import (
	"fmt"
	"io"
	"time"

	"github.com/pgberth/pgberth/progress"
)

// lines is the display for a pipe, a log file or cron: a line as a phase that
// moves rows begins, a line as each phase ends, and one now and then while a
// phase takes long.
type lines struct {
	w              io.Writer
	quiet, verbose bool

	running meters
	spoke   time.Time // when something was last written
}

var _ display = (*lines)(nil)

// silence is how long nothing is written while a phase runs.
const silence = 10 * time.Second

func (l *lines) show(e progress.Event, now time.Time) {
	l.running.add(e, now)
	if text := l.text(e); text != "" {
		l.print(text, now)
	}
}

// text is what an event is worth saying, or "".
func (l *lines) text(e progress.Event) string {
	if w, ok := e.(progress.Warning); ok {
		return warningText(w)
	}
	if l.quiet {
		return ""
	}
	switch e := e.(type) {
	case progress.Notice:
		return e.Text
	case progress.PhaseStart:
		if e.Bytes > 0 || l.verbose {
			return phaseStartText(e)
		}
	case progress.PhaseEnd:
		// A phase that had nothing to do is not worth a line.
		if e.Units > 0 || e.Bytes > 0 || e.Elapsed >= time.Millisecond || l.verbose {
			return phaseEndText(e)
		}
	case progress.UnitEnd:
		if e.Elapsed >= slowUnit || l.verbose {
			return unitEndText(e)
		}
	}
	return ""
}

func (l *lines) tick(now time.Time) {
	if l.quiet || len(l.running) == 0 {
		return
	}
	oldest := l.running[0]
	if now.Sub(l.spoke) < silence || now.Sub(oldest.started) < silence {
		return
	}
	for _, m := range l.running {
		l.print(m.phase+": "+meterText(m, now), now)
	}
}

func (l *lines) finish(time.Time) error { return nil }

// print writes to standard error, whose failure there is nobody to tell.
func (l *lines) print(text string, now time.Time) {
	l.spoke = now
	_, _ = fmt.Fprintln(l.w, text)
}
