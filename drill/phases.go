package drill

import (
	"strings"
	"sync"
	"time"

	"github.com/pgberth/pgberth/progress"
)

// A Phase is how long a part of the drill took.
type Phase struct {
	Name    string        `json:"name"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// stopwatch times phases, those of a restore from its events. It passes all events on.
type stopwatch struct {
	next progress.Reporter

	mu      sync.Mutex
	list    []Phase
	open    string // phase that has begun
	since   time.Time
	loading loading
}

// loading is when the parts of the phase of rows ended, which overlap: indexes of tables that have landed are
// built while others are still on their way.
type loading struct{ start, rows, indexes time.Time }

func newStopwatch(next progress.Reporter) *stopwatch { return &stopwatch{next: next} }

// phase times a part of the drill that is not a restore's.
func (s *stopwatch) phase(name string, do func() error) error {
	s.next.Report(progress.PhaseStart{Phase: name})
	s.begin(name)
	err := do()
	elapsed := s.end()
	if err == nil {
		s.next.Report(progress.PhaseEnd{Phase: name, Elapsed: elapsed})
	}
	return err
}

func (s *stopwatch) begin(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.since = name, time.Now()
}

func (s *stopwatch) end() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	elapsed := time.Since(s.since)
	s.add(s.open, elapsed)
	s.open = ""
	return elapsed
}

func (s *stopwatch) add(name string, elapsed time.Duration) {
	for i := range s.list {
		if s.list[i].Name == name {
			s.list[i].Elapsed += elapsed
			return
		}
	}
	s.list = append(s.list, Phase{name, elapsed})
}

// forget drops a phase in which there was nothing to do.
func (s *stopwatch) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i].Name == name {
			s.list = append(s.list[:i], s.list[i+1:]...)
			return
		}
	}
}

// close ends the phase that an error has cut short.
func (s *stopwatch) close() {
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	if open != "" {
		s.end()
	}
}

// phases are those that took time, in order.
func (s *stopwatch) phases() []Phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Phase(nil), s.list...)
}

// Report implements [progress.Reporter].
func (s *stopwatch) Report(event progress.Event) {
	if w, ok := event.(progress.Warning); ok && strings.HasPrefix(w.Object, "role ") {
		return // that a role has no password, which nobody needs here
	}
	s.next.Report(event)
	switch e := event.(type) {
	case progress.PhaseStart:
		s.begin(e.Phase)
		if e.Phase == progress.Rows {
			s.mu.Lock()
			s.loading = loading{start: time.Now()}
			s.mu.Unlock()
		}
	case progress.UnitEnd:
		s.unit(e)
	case progress.PhaseEnd:
		s.restored(e)
	}
}

func (s *stopwatch) unit(e progress.UnitEnd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.open != progress.Rows:
	case e.Phase == progress.Rows:
		s.loading.rows = time.Now()
	case e.Phase == progress.PostData && strings.HasPrefix(e.Object, "INDEX "):
		s.loading.indexes = time.Now()
	}
}

// names of a restore's phases, as a report has them.
var phaseNames = map[string]string{progress.Staging: "database", progress.PostData: "finish", progress.Swap: "finish", progress.Verify: "finish",
	progress.Preflight: "preflight"}

// restored ends a phase of the restore. That of rows is cut into three: until the last rows were stored, the last index
// was built, and all was done.
func (s *stopwatch) restored(e progress.PhaseEnd) {
	if e.Phase != progress.Rows {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open == e.Phase {
			name := phaseNames[e.Phase]
			if name == "" {
				name = e.Phase
			}
			s.add(name, time.Since(s.since))
			s.open = ""
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, l := time.Now(), s.loading
	if l.rows.IsZero() {
		l.rows = l.start
	}
	if l.indexes.Before(l.rows) {
		l.indexes = l.rows
	}
	s.add("rows", l.rows.Sub(l.start))
	s.add("indexes", l.indexes.Sub(l.rows))
	s.add("constraints", now.Sub(l.indexes))
	s.open = ""
}
