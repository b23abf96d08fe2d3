package copywire

import (
	"context"
	"io"
)

// A Wire moves rows to and from a server by another way than the sessions that
// do the rest: one on which they travel compressed. Each of its COPYs has a
// session of its own.
type Wire interface {
	// OpenIn runs a COPY ... FROM STDIN in text format, in a transaction of its own,
	// which is committed by Finish and rolled back by whatever else ends it.
	OpenIn(ctx context.Context, load Copy) (Rows, error)
	// Out runs a COPY ... TO STDOUT in text format, and is like [Out] for the
	// rest.
	Out(ctx context.Context, unload Copy, sink Sink, hash *RowHash) (Tally, error)
}

// WireFrom is the size, in bytes at the source, from which the rows of a table
// are worth the start of a process and a session.
const WireFrom = 512 << 10

// WireJobs is how many streams there are at least, if nobody says, where rows go over a
// Wire: while one waits for an answer from afar, the others fill it.
const WireJobs = 4

type bulk struct{}

// Bulk marks a context: what connects with it carries rows, and is to keep them out of the way of others, who wait for
// answers.
func Bulk(ctx context.Context) context.Context { return context.WithValue(ctx, bulk{}, true) }

// IsBulk says whether a context is marked.
func IsBulk(ctx context.Context) bool { return ctx.Value(bulk{}) != nil }

// A Copy is a COPY and the session it is to run in.
type Copy struct {
	Database string
	Setup    string // statements that set up the session
	Begin    string // statements that begin the transaction, and what precedes the COPY
	SQL      string // the COPY
	Binary   bool   // its format; no Wire takes it
}

// Rows is a running COPY ... FROM STDIN.
type Rows interface {
	Sink
	io.Writer
	// Finish ends the COPY and returns the rows the server stored.
	Finish() (rows int64, err error)
	// Abort ends a COPY whose rows could not all be had, and returns the server's
	// reason if that came first, else because.
	Abort(because error) error
	// Warnings are what the server said; valid after Finish or Abort.
	Warnings() []string
}

var _ Rows = (*In)(nil)
