package main

import (
	"sync"
	"time"

	"github.com/pgberth/pgberth/progress"
)

// A display shows events. All of its methods are called from one goroutine.
type display interface {
	// show takes an event; now is when it is shown.
	show(e progress.Event, now time.Time)
	// tick is called every tickEvery between events.
	tick(now time.Time)
	// finish is called last. It returns the first error of writing to
	// standard output, if the display does that.
	finish(now time.Time) error
}

// tickEvery is how often a display is brought up to date.
const tickEvery = 100 * time.Millisecond

// A relay is a Reporter that passes events on to a display from a goroutine of
// its own, so that a slow terminal never holds up the engine. Bytes moved of
// one unit are added up while they wait.
type relay struct {
	mu      sync.Mutex // held for a few instructions only
	waiting []progress.Event
	bytes   map[unit]int // where in waiting the bytes of a unit are

	stop chan struct{}
	once sync.Once
	done chan error
	err  error
}

// A unit names a unit of a phase.
type unit struct{ phase, object string }

var _ progress.Reporter = (*relay)(nil)

func newRelay(d display) *relay {
	r := &relay{bytes: map[unit]int{}, stop: make(chan struct{}), done: make(chan error, 1)}
	go func() { r.done <- r.pass(d) }()
	return r
}

// Report implements [progress.Reporter].
func (r *relay) Report(e progress.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if moved, ok := e.(progress.UnitBytes); ok {
		key := unit{moved.Phase, moved.Object}
		if i, waits := r.bytes[key]; waits {
			moved.N += r.waiting[i].(progress.UnitBytes).N
			r.waiting[i] = moved
			return
		}
		r.bytes[key] = len(r.waiting)
	}
	r.waiting = append(r.waiting, e)
}

// Close shows what still waits, ends the display and returns its error.
// Further calls return the same.
func (r *relay) Close() error {
	r.once.Do(func() {
		close(r.stop)
		r.err = <-r.done
	})
	return r.err
}

func (r *relay) pass(d display) error {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			r.drain(d, now)
			d.tick(now)
		case <-r.stop:
			now := time.Now()
			r.drain(d, now)
			return d.finish(now)
		}
	}
}

func (r *relay) drain(d display, now time.Time) {
	r.mu.Lock()
	events := r.waiting
	r.waiting = nil
	clear(r.bytes)
	r.mu.Unlock()
	for _, e := range events {
		d.show(e, now)
	}
}
