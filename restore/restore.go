// Package restore fills a database from an archive's entries and rows,
// wherever they come from: a staging database, out of sight until it is whole
// and checked, that takes its final name in one short step.
package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/progress"
)

// Source is where entries and rows come from. Its methods but LargeObjects are
// called from several goroutines.
type Source interface {
	TOC() *archive.TOC
	// Size estimates the bytes of an entry's rows, or of the index it makes;
	// 0 is for not known.
	Size(e *archive.Entry) int64
	// Binary reports whether the rows of a TABLE DATA entry come in binary
	// COPY format.
	Binary(e *archive.Entry) bool
	// Condition is the WHERE clause that selects the rows a TABLE DATA entry
	// is about, if the table may hold others: configuration tables of
	// extensions.
	Condition(e *archive.Entry) string
	// Streams cuts the rows of a TABLE DATA entry into at most n parts, each
	// of which may be copied by another goroutine. A stream sends its rows to
	// sink, which is an io.Writer too for data without frames, and to hash if
	// that is not nil.
	Streams(ctx context.Context, e *archive.Entry, n int) ([]Stream, error)
	// Expected is what is known of the rows of a TABLE DATA entry from when
	// they were dumped.
	Expected(e *archive.Entry) (rows int64, hash uint64, known bool)
	// LargeObjects calls fn for every large object with its BLOBS entry.
	// It is called once, while rows are being copied.
	LargeObjects(ctx context.Context, fn func(e *archive.Entry, oid uint32, data io.Reader) error) error
}

// Stream sends a part of a table's rows.
type Stream = func(ctx context.Context, sink copywire.Sink, hash *copywire.RowHash) (copywire.Tally, error)

// Options are what a restore is to do.
type Options struct {
	Source Source
	Target *Target
	// Roles are created if the target lacks them.
	Roles []Role

	// FastLoad is which of the server's settings may be changed; Restart is how to restart it.
	FastLoad FastLoad
	Restart  Restarter

	Jobs       int // parallel workers, at least 1
	Resources  Resources
	Replace    bool
	DropOld    bool
	Disconnect bool
	InPlace    bool
	// VerifyData re-reads the target and compares row hashes; VerifyRows
	// compares row counts.
	VerifyRows, VerifyData bool
	// Tolerant goes on after a statement the target refuses, and ends with
	// a PartialError that lists all of them.
	Tolerant bool

	// Confirm, if set, is asked when all rows are stored whether what the
	// source sent was whole. Its error fails the run.
	Confirm func(context.Context) error

	Archive  archive.RestoreOptions
	Reporter progress.Reporter
}

// TableResult is what was stored for one TABLE DATA entry.
type TableResult struct {
	Name  string
	Rows  int64
	Bytes int64 // of COPY data
	Hash  uint64
}

// Result is what a restore did.
type Result struct {
	Objects      map[string]int // entries restored, by type
	Tables       []TableResult
	LargeObjects int
	RolesCreated []string
	OldDatabase  string // the name the old database is kept under
	OldDropped   bool
	Phases       []Phase
}

// Phase is how long a phase took.
type Phase struct {
	Name    string
	Elapsed time.Duration
}

// ErrLocked reports that another run is filling the same database.
var ErrLocked = errors.New("locked")

// RehearsalError reports that the target refused pre-data SQL, before any row
// was moved. What had been created was undone; another client may have written
// it differently.
type RehearsalError struct{ Err error }

func (e *RehearsalError) Error() string { return e.Err.Error() }
func (e *RehearsalError) Unwrap() error { return e.Err }

// PartialError reports that the database was restored whole and checked, but
// something after it could not be done.
type PartialError struct{ Err error }

func (e *PartialError) Error() string { return e.Err.Error() }
func (e *PartialError) Unwrap() error { return e.Err }

// Run restores. When it fails, what it made is gone from the target, or the
// error says what could not be removed; an existing database is as it was.
func Run(ctx context.Context, opts Options) (_ *Result, err error) {
	r := newRun(opts)
	defer r.idle.leave(ctx)
	defer func() {
		if err != nil && !r.published {
			undoErr := r.undo(context.WithoutCancel(ctx))
			if undoErr != nil && ctx.Err() != nil {
				// That a run was interrupted is all its error is read for.
				r.Reporter.Report(progress.Warning{Object: "target", Text: undoErr.Error()})
			}
			err = errors.Join(err, undoErr)
		}
	}()
	for _, p := range []struct {
		name string
		do   func(context.Context) error
	}{
		{progress.Roles, r.createRoles},
		{progress.Relax, r.relax},
		{progress.Staging, r.createStaging},
		{progress.PreData, r.preData},
		{progress.Rows, r.load},
		{progress.Sequences, r.setSequences},
		{progress.Analyze, r.analyze},
		{progress.Verify, r.verify},
		{progress.PostData, r.eventTriggers},
		{progress.Settle, r.tighten},
		{progress.Swap, r.swap},
	} {
		if (p.name == progress.Relax || p.name == progress.Settle) && !r.FastLoad.changes() {
			continue
		}
		if p.name == progress.Settle || p.name == progress.Swap {
			r.idle.leave(ctx)
		}
		if err := r.phase(ctx, p.name, p.do); err != nil {
			return nil, err
		}
	}
	return r.result, errors.Join(r.setInside(ctx), r.dropOld(ctx), r.refusals.err())
}

// run is the state of one restore.
type run struct {
	Options
	toc    *archive.TOC
	plan   plan
	result *Result

	database  string // being filled: the staging database, or the final one if in place
	oldEmpty  bool   // the existing database holds nothing and is not kept
	published bool   // the final name is taken
	created   []string
	marked    bool // in place: DDL has been committed

	relaxed  *relaxation // what of the server's settings is changed
	tables   tallies
	costs    map[int]int64   // of entries, by id, that were split
	analyzed map[string]bool // tables, as SQL has them, whose statistics are there
	objects  []uint32        // large objects that were created
	filled   int             // large objects whose contents came

	refusals refusals
	idle     idlers
}

func newRun(opts Options) *run {
	if opts.Reporter == nil {
		opts.Reporter = progress.Discard
	}
	opts.Jobs = max(1, opts.Jobs)
	toc := opts.Source.TOC()
	r := &run{
		Options: opts, toc: toc, plan: newPlan(toc, opts.Archive),
		result: &Result{Objects: map[string]int{}}, analyzed: map[string]bool{}, costs: map[int]int64{},
	}
	for _, e := range r.plan.parallel {
		if e.Desc == archive.DescTableData {
			r.plan.tables++
			r.plan.bytes += opts.Source.Size(e)
		}
	}
	return r
}

// phase reports and times a step. Steps that have nothing to do are silent.
func (r *run) phase(ctx context.Context, name string, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	start := time.Now()
	units, bytes := r.planned(name)
	r.Reporter.Report(progress.PhaseStart{Phase: name, Units: units, Bytes: bytes})
	if err := do(ctx); err != nil {
		return err
	}
	elapsed := time.Since(start)
	r.Reporter.Report(progress.PhaseEnd{Phase: name, Units: units, Bytes: r.tables.bytesIf(name == progress.Rows), Elapsed: elapsed})
	r.result.Phases = append(r.result.Phases, Phase{Name: name, Elapsed: elapsed})
	return nil
}

func (r *run) planned(phase string) (units int, bytes int64) {
	switch phase {
	case progress.Roles:
		return len(r.Roles), 0
	case progress.PreData:
		return len(r.plan.preData), 0
	case progress.Rows:
		return r.plan.tables, r.plan.bytes
	case progress.Sequences:
		return len(r.plan.sequences), 0
	case progress.PostData:
		return len(r.plan.last), 0
	}
	return 0, 0
}

// undoTimeout bounds the cleanup after a failure, which may meet a server that
// recovers from a crash.
const undoTimeout = time.Minute

// undo removes what the run made. The context is not cancelled by the user.
func (r *run) undo(ctx context.Context) error {
	r.idle.leave(ctx)
	r.revive(ctx)
	errs := []error{r.remove(ctx)}
	errs = append(errs, r.tightenAfter(ctx)) // what is gone need not be flushed
	return errors.Join(errs...)
}

// remove drops what the run made.
func (r *run) remove(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, undoTimeout)
	defer done()
	var errs []error
	if r.InPlace {
		errs = append(errs, r.emptyInPlace(ctx))
	} else if r.database != "" {
		if err := r.Target.dropStaging(ctx, r.database); err != nil {
			errs = append(errs, fmt.Errorf("drop the staging database %q: %w; the next run drops it", r.database, err))
		}
	}
	if len(r.created) > 0 {
		if err := r.Target.dropRoles(ctx, r.created); err != nil {
			errs = append(errs, fmt.Errorf("drop the roles this run created (%s): %w", strings.Join(r.created, ", "), err))
		}
	}
	return errors.Join(errs...)
}
