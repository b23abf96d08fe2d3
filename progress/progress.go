// Package progress is how the engines say what they are doing. It holds event
// structs and the Reporter interface, and does no I/O: package cmd renders
// events as bars, plain lines or JSON.
package progress

import "time"

// A Reporter receives events. Implementations must be safe for concurrent use
// and must not block: an engine calls Report from the goroutine that moves rows.
type Reporter interface {
	Report(Event)
}

// Event is one of the structs of this package. Fields may be added, never removed.
type Event interface{ EventName() string }

// Discard is a Reporter that drops every event.
var Discard Reporter = discard{}

type discard struct{}

func (discard) Report(Event) {}

// Phase names, in the order in which a migration or restore runs them.
const (
	Preflight = "preflight"
	Snapshot  = "snapshot"
	Roles     = "roles"
	Relax     = "relax" // the server's settings, for the load
	Staging   = "staging"
	PreData   = "pre-data"
	Rows      = "rows" // with the indexes and keys of tables that have landed
	PostData  = "post-data"
	Sequences = "sequences"
	Analyze   = "analyze"
	Verify    = "verify"
	ReadBack  = "read-back" // of what was written
	Copy      = "copy"
	Settle    = "settle" // settings put back, all flushed
	Swap      = "swap"
)

// PhaseStart opens a phase. Units is the number of planned units (tables,
// statements); Bytes the estimated number of bytes to move. Zero means unknown.
type PhaseStart struct {
	Phase string `json:"phase"`
	Units int    `json:"units,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
}

// PhaseEnd closes a phase that was done whole. A phase that fails has no end.
type PhaseEnd struct {
	Phase   string        `json:"phase"`
	Units   int           `json:"units,omitempty"`
	Bytes   int64         `json:"bytes,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// UnitStart says that a worker took up a unit of a phase: the rows of a table,
// an index, a constraint. Object is its display name, such as "public.games".
type UnitStart struct {
	Phase  string `json:"phase"`
	Object string `json:"object"`
	Bytes  int64  `json:"bytes,omitempty"` // estimate
}

// UnitBytes says that n more bytes of a unit were moved.
type UnitBytes struct {
	Phase  string `json:"phase"`
	Object string `json:"object"`
	N      int64  `json:"n"`
}

// UnitEnd says that a unit is done. Rows is set for table data only.
type UnitEnd struct {
	Phase   string        `json:"phase"`
	Object  string        `json:"object"`
	Rows    int64         `json:"rows,omitempty"`
	Bytes   int64         `json:"bytes,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// Notice is a message for the user that is not an error: a choice made, a
// leftover dropped.
type Notice struct {
	Text string `json:"text"`
}

// Warning is a message for the user about something that was not carried over
// or that needs attention. Object names what it is about, Remedy what to do.
type Warning struct {
	Object string `json:"object,omitempty"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

func (PhaseStart) EventName() string { return "phase_start" }
func (PhaseEnd) EventName() string   { return "phase_end" }
func (UnitStart) EventName() string  { return "unit_start" }
func (UnitBytes) EventName() string  { return "unit_bytes" }
func (UnitEnd) EventName() string    { return "unit_end" }
func (Notice) EventName() string     { return "notice" }
func (Warning) EventName() string    { return "warning" }
