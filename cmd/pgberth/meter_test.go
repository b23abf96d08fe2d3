package main

import (
	"testing"
	"time"

	"github.com/pgberth/pgberth/progress"
)

func TestMeter(t *testing.T) {
	start := time.Now()
	var ms meters
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	rows := func() *meter { return ms.of(progress.Rows) }
	expect := func(step string, part float64, left time.Duration) {
		t.Helper()
		got, known := rows().fraction()
		if !known || got != part {
			t.Errorf("%s: %v of it done (known: %v), want %v", step, got, known, part)
		}
		gotLeft, known := rows().left(at(10))
		if known != (left >= 0) || known && gotLeft != left {
			t.Errorf("%s: %v left (known: %v), want %v", step, gotLeft, known, left)
		}
	}

	ms.add(progress.PhaseStart{Phase: progress.Rows, Units: 2, Bytes: 1000}, at(0))
	expect("begun", 0, -1)
	ms.add(progress.UnitStart{Phase: progress.Rows, Object: "a", Bytes: 600}, at(0))
	ms.add(progress.UnitStart{Phase: progress.Rows, Object: "b", Bytes: 400}, at(0))
	ms.add(progress.UnitBytes{Phase: progress.Rows, Object: "a", N: 300}, at(1))
	expect("half of a", 0.3, 10*time.Second*7/3)
	// On the wire b is larger than its file: it counts as what was planned.
	ms.add(progress.UnitBytes{Phase: progress.Rows, Object: "b", N: 4000}, at(2))
	expect("b is larger than planned", 0.7, 10*time.Second*3/7)
	ms.add(progress.UnitEnd{Phase: progress.Rows, Object: "b", Bytes: 5000}, at(3))
	expect("b is done", 0.7, 10*time.Second*3/7)
	if rows().moved != 5300 || rows().unitsDone != 1 || len(rows().flight) != 1 {
		t.Errorf("after b: %+v", rows())
	}
	// An index is built before its phase begins. It is shown, and does not count.
	ms.add(progress.UnitStart{Phase: progress.PostData, Object: "b_pkey"}, at(3))
	ms.add(progress.UnitEnd{Phase: progress.Rows, Object: "a", Bytes: 600}, at(4))
	expect("only the index is left", 1, -1)
	if rows().unitsDone != 2 || len(rows().flight) != 1 {
		t.Errorf("with the index: %+v", rows())
	}
	ms.add(progress.UnitEnd{Phase: progress.PostData, Object: "b_pkey"}, at(5))
	if rows().unitsDone != 2 || len(rows().flight) != 0 {
		t.Errorf("after the index: %+v", rows())
	}
	ms.add(progress.PhaseEnd{Phase: progress.Rows}, at(6))
	if len(ms) != 0 {
		t.Errorf("after the end: %v", ms)
	}
	ms.add(progress.UnitEnd{Phase: progress.Rows, Object: "late"}, at(7)) // nothing runs: no harm
}

func TestMeterWithoutBytes(t *testing.T) {
	m := meter{phase: progress.Sequences, units: 4, unitsDone: 1}
	if part, known := m.fraction(); !known || part != 0.25 {
		t.Errorf("got %v, %v", part, known)
	}
	if _, known := (&meter{}).fraction(); known {
		t.Error("a phase of unknown length is reckoned")
	}
}
