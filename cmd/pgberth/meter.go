package main

import (
	"slices"
	"time"

	"github.com/pgberth/pgberth/progress"
)

// A meter adds up the events of a phase: how far it is, and what is in flight.
type meter struct {
	phase   string
	started time.Time
	units   int   // planned; 0 is unknown
	bytes   int64 // planned, an estimate; 0 is unknown

	unitsDone    int
	moved        int64 // bytes that were moved, the last of them at movedAt
	movedAt      time.Time
	expectedDone int64 // of the planned bytes, those of units that are done
	flight       []*flight
}

// A flight is a unit that a worker has taken up.
type flight struct {
	unit
	started  time.Time
	expected int64 // estimate; 0 is unknown
	moved    int64
}

// meters are the phases that are running, in the order they began in.
type meters []*meter

func (ms meters) of(phase string) *meter {
	for _, m := range ms {
		if m.phase == phase {
			return m
		}
	}
	return nil
}

// add takes an event.
func (ms *meters) add(e progress.Event, now time.Time) {
	switch e := e.(type) {
	case progress.PhaseStart:
		*ms = append(*ms, &meter{phase: e.Phase, started: now, units: e.Units, bytes: e.Bytes})
	case progress.PhaseEnd:
		*ms = slices.DeleteFunc(*ms, func(m *meter) bool { return m.phase == e.Phase })
	case progress.UnitStart:
		if m := ms.host(e.Phase); m != nil {
			m.flight = append(m.flight, &flight{unit: unit{e.Phase, e.Object}, started: now, expected: e.Bytes})
		}
	case progress.UnitBytes:
		if m := ms.host(e.Phase); m != nil {
			m.advance(unit{e.Phase, e.Object}, e.N, now)
		}
	case progress.UnitEnd:
		if m := ms.host(e.Phase); m != nil {
			m.land(e, now)
		}
	}
}

// host is the meter that shows the units of a phase. Indexes are built while
// rows are still being copied: units of a phase that has not begun are shown
// with the phase that runs, and do not count in it.
func (ms meters) host(phase string) *meter {
	if m := ms.of(phase); m != nil || len(ms) == 0 {
		return m
	}
	return ms[len(ms)-1]
}

func (m *meter) advance(u unit, n int64, now time.Time) {
	if u.phase == m.phase {
		m.moved, m.movedAt = m.moved+n, now
	}
	for _, f := range m.flight {
		if f.unit == u {
			f.moved += n
			return
		}
	}
}

// land takes a unit out of flight. What it moved in the end counts, whether or
// not it told of every byte on the way.
func (m *meter) land(e progress.UnitEnd, now time.Time) {
	own := e.Phase == m.phase
	if own {
		m.unitsDone++
	}
	for i, f := range m.flight {
		if f.unit != (unit{e.Phase, e.Object}) {
			continue
		}
		m.flight = append(m.flight[:i:i], m.flight[i+1:]...)
		if own {
			m.expectedDone += f.expected
			m.advance(f.unit, max(e.Bytes-f.moved, 0), now)
		}
		return
	}
}

// fraction is how much of the phase is done, from 0 to 1. It is reckoned in the
// planned bytes, because a row is of another size on the wire than in a table's
// file; without these, in units.
func (m *meter) fraction() (part float64, known bool) {
	switch {
	case m.bytes > 0:
		done := m.expectedDone
		for _, f := range m.flight {
			done += min(f.moved, f.expected)
		}
		return min(float64(done)/float64(m.bytes), 1), true
	case m.units > 0:
		return min(float64(m.unitsDone)/float64(m.units), 1), true
	}
	return 0, false
}

// left is the time the phase still needs at the pace it had so far. It is not
// known before there is a pace to speak of, nor when only other units are left.
func (m *meter) left(now time.Time) (d time.Duration, known bool) {
	part, known := m.fraction()
	elapsed := now.Sub(m.started)
	if !known || part < 0.02 || part == 1 || elapsed < 2*time.Second {
		return 0, false
	}
	return time.Duration(float64(elapsed) * (1 - part) / part), true
}
