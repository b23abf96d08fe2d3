//go:build bench

package bench_test

import (
	"bytes"
	"encoding/json"
	"time"
)

// A span is when a unit of pgberth's work ran, counted from the start of its run.
type span struct {
	Phase string        `json:"phase"`
	Name  string        `json:"name,omitempty"` // of the unit; none is the phase as a whole
	Start time.Duration `json:"start_ns"`
	End   time.Duration `json:"end_ns"`
}

// A timeline reads the events that pgberth prints, as it prints them.
type timeline struct {
	start time.Time
	spans []span
	open  map[[2]string]int // in spans
	rest  []byte            // of a line that was begun
	last  string
}

// Write implements [io.Writer].
func (l *timeline) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.event(line, time.Since(l.start))
		l.rest = rest
	}
}

func (l *timeline) event(line []byte, at time.Duration) {
	l.last = string(line)
	var e struct{ Event, Phase, Object string }
	if err := json.Unmarshal(line, &e); err != nil {
		return // what it was shows in last
	}
	if l.open == nil {
		l.open = map[[2]string]int{}
	}
	key := [2]string{e.Phase, e.Object}
	switch e.Event {
	case "phase_start", "unit_start":
		l.open[key] = len(l.spans)
		l.spans = append(l.spans, span{Phase: e.Phase, Name: e.Object, Start: at})
	case "phase_end", "unit_end":
		if i, found := l.open[key]; found {
			l.spans[i].End = at
		}
	}
}
