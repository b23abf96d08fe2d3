package main

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pgberth/pgberth/progress"
)

// A keeper is a display that keeps what it is shown, and may be held up.
type keeper struct {
	hold   chan struct{} // closed to let it go on; nil does not hold
	events []progress.Event
	err    error
}

func (k *keeper) show(e progress.Event, _ time.Time) {
	if k.hold != nil {
		<-k.hold
	}
	k.events = append(k.events, e)
}
func (k *keeper) tick(time.Time)         {}
func (k *keeper) finish(time.Time) error { return k.err }

// TestRelayDoesNotBlock reports while the display is stuck, as it is when a
// terminal is stopped.
func TestRelayDoesNotBlock(t *testing.T) {
	defer goleak.VerifyNone(t)
	k := &keeper{hold: make(chan struct{}), err: errors.New("full")}
	r := newRelay(k)
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			object := fmt.Sprint("t", w)
			r.Report(progress.UnitStart{Phase: progress.Rows, Object: object})
			for range 1000 {
				r.Report(progress.UnitBytes{Phase: progress.Rows, Object: object, N: 1})
			}
			r.Report(progress.UnitEnd{Phase: progress.Rows, Object: object})
		})
	}
	workers.Wait()
	close(k.hold)
	if err := r.Close(); !errors.Is(err, k.err) {
		t.Errorf("close: %v, want the display's error", err)
	}
	if err := r.Close(); !errors.Is(err, k.err) {
		t.Errorf("second close: %v, want the same", err)
	}

	got := map[string][]string{}
	moved := map[string]int64{}
	for _, e := range k.events {
		switch e := e.(type) {
		case progress.UnitStart:
			got[e.Object] = append(got[e.Object], "start")
		case progress.UnitBytes:
			moved[e.Object] += e.N
			if steps := got[e.Object]; steps[len(steps)-1] != "bytes" {
				got[e.Object] = append(got[e.Object], "bytes")
			}
		case progress.UnitEnd:
			got[e.Object] = append(got[e.Object], "end")
		}
	}
	order := []string{"start", "bytes", "end"}
	if diff := cmp.Diff(map[string][]string{"t0": order, "t1": order, "t2": order, "t3": order}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int64{"t0": 1000, "t1": 1000, "t2": 1000, "t3": 1000}, moved); diff != "" {
		t.Error(diff)
	}
}
