package main

import (
	"io"
	"time"

	"github.com/pgberth/pgberth/progress"
)

// jsonDisplay writes every event as one line of JSON. Bytes moved are written
// once in a while for each unit in flight.
type jsonDisplay struct {
	w     io.Writer
	err   error // of the first write that failed
	order []unit
	moved map[unit]int64 // not yet written
	wrote time.Time
}

var _ display = (*jsonDisplay)(nil)

// jsonBytesEvery is how often bytes moved are written.
const jsonBytesEvery = time.Second

func newJSONDisplay(w io.Writer) *jsonDisplay {
	return &jsonDisplay{w: w, moved: map[unit]int64{}}
}

func (j *jsonDisplay) show(e progress.Event, _ time.Time) {
	switch e := e.(type) {
	case progress.UnitBytes:
		key := unit{e.Phase, e.Object}
		if _, found := j.moved[key]; !found {
			j.order = append(j.order, key)
		}
		j.moved[key] += e.N
		return
	case progress.UnitEnd:
		j.flush(unit{e.Phase, e.Object})
	}
	j.write(e)
}

func (j *jsonDisplay) tick(now time.Time) {
	if now.Sub(j.wrote) < jsonBytesEvery {
		return
	}
	j.wrote = now
	for _, key := range j.order {
		j.flush(key)
	}
	j.order = j.order[:0]
}

// flush writes what a unit moved since the last time.
func (j *jsonDisplay) flush(key unit) {
	if n := j.moved[key]; n > 0 {
		j.write(progress.UnitBytes{Phase: key.phase, Object: key.object, N: n})
	}
	delete(j.moved, key)
}

func (j *jsonDisplay) finish(time.Time) error { return j.err }

func (j *jsonDisplay) write(e progress.Event) {
	if err := writeJSON(j.w, e.EventName(), e); err != nil && j.err == nil {
		j.err = err
	}
}
