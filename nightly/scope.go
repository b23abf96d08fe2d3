package nightly

import (
	"strings"
	"sync"

	"github.com/pgberth/pgberth/backup"
	"github.com/pgberth/pgberth/progress"
)

// A scope is the reporter of one backup. It says whose warnings they are, and keeps the phases that the report has.
type scope struct {
	name string                      // such as shop/orders
	hide func(progress.Warning) bool // what the user knows
	next progress.Reporter

	mu     sync.Mutex
	phases []progress.PhaseEnd
}

// Report implements [progress.Reporter].
func (s *scope) Report(e progress.Event) {
	switch event := e.(type) {
	case progress.PhaseEnd:
		s.mu.Lock()
		s.phases = append(s.phases, event)
		s.mu.Unlock()
	case progress.Warning:
		if s.hide(event) {
			return
		}
		if event.Object == backup.ObjectPasswords {
			event.Remedy += "; with globals: without-passwords in the configuration this is known and no warning"
		}
		if event.Object == "" || strings.HasSuffix(s.name, "/"+event.Object) {
			event.Object = s.name
		} else {
			event.Object = s.name + ": " + event.Object
		}
		e = event
	}
	s.next.Report(e)
}
