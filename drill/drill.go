// Package drill proves that a backup comes back: it restores it into a server made for
// that, holds the database against what was recorded in the dump's own snapshot, measures how
// long it took and how old the data is, writes that down, and leaves no trace.
package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

// Phases of a drill besides those of a restore, as a Reporter gets them.
const (
	PhaseFetch  = "fetch"
	PhaseFiles  = "files"
	PhaseStart  = "start"
	PhaseChecks = "checks"
)

// Options are what a drill is to do. The zero value of every field but Backup and Server is usable.
type Options struct {
	Backup Backup
	// Server makes the throwaway server. It is called once.
	Server func(ctx context.Context, want ServerSpec) (Server, error)

	Assertions []Assertion
	SmokeAs    string // role of the application, which must be able to read
	// SmokeIfThere skips that for a backup which does not know the role.
	SmokeIfThere bool
	Amcheck      bool
	RTO, RPO     time.Duration // targets; 0 is none
	Jobs         int           // parallel workers; 0 chooses by the machine
	// KeepOnFailure leaves the server of a drill that did not pass where it is.
	KeepOnFailure bool

	Tool, Host string // for the report
	// History are the reports there are, oldest first. The new one names the last about the same database.
	History  []*Stored
	Reporter progress.Reporter
	Now      func() time.Time // nil is time.Now

	// tamper is called when the database is restored and nothing is checked yet.
	tamper func(ctx context.Context, d *drill) error
}

// Run drills a backup. It returns a report whenever the drill began, whatever its verdict, and removes what it
// made. The error is nil unless ctx ended, or something could not be removed.
func Run(ctx context.Context, opts Options) (_ *Report, err error) {
	defer func(ctx context.Context) { err = session.Interrupted(ctx, err) }(ctx)
	if opts.Reporter == nil {
		opts.Reporter = progress.Discard
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	d := &drill{Options: &opts, watch: newStopwatch(opts.Reporter), report: newReport(&opts)}
	cleanup, failure := d.run(ctx)
	d.conclude(ctx, failure)
	if removeErr := cleanup(); removeErr != nil {
		err = errors.Join(err, &LeftError{removeErr})
	}
	if ctx.Err() != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	return d.report, err
}

// A LeftError says that a drill is over, and something of it could not be removed.
type LeftError struct{ Err error }

func (e *LeftError) Error() string {
	return "the drill is over, and something of it is left: " + e.Err.Error()
}

func (e *LeftError) Unwrap() error { return e.Err }

// drill is the state of one run.
type drill struct {
	*Options
	watch  *stopwatch
	report *Report

	source   *source
	server   Server
	identity string // of the server; see identify
	restored *restore.Result
	database string
}

// run does everything but the verdict. The function it returns, never nil, removes what there is to
// remove.
func (d *drill) run(ctx context.Context) (cleanup func() error, err error) {
	var undo []func() error
	cleanup = func() error {
		var errs []error
		for i := len(undo) - 1; i >= 0; i-- {
			errs = append(errs, undo[i]())
		}
		return errors.Join(errs...)
	}
	d.source, err = d.open(ctx)
	if d.source != nil {
		undo = append(undo, d.source.Close)
	}
	if !d.report.Backup.Snapshot.IsZero() { // also of a backup that cannot be opened
		d.checkFreshness()
	}
	if err != nil {
		return cleanup, err
	}
	if err := d.start(ctx); err != nil {
		return cleanup, err
	}
	undo = append(undo, func() error { return d.leave(ctx) })
	if err := d.restore(ctx); err != nil {
		return cleanup, err
	}
	if d.tamper != nil {
		if err := d.tamper(ctx, d); err != nil {
			return cleanup, infrastructure(err)
		}
	}
	return cleanup, d.watch.phase(PhaseChecks, func() error { return d.check(ctx) })
}

// open makes the backup readable here and reads all of it once.
func (d *drill) open(ctx context.Context) (_ *source, err error) {
	s := &source{backup: d.Backup}
	start := time.Now()
	if err := d.watch.phase(PhaseFetch, func() error { return s.fetch(ctx) }); isDamage(err) {
		d.describeUnread(ctx, s)
		files := Check{Name: "files", Title: filesTitle, Expected: "every file with its size and SHA-256, and no others", Elapsed: time.Since(start)}
		files.fail("damage", s.damage(ctx, err, false)...)
		d.report.add(files)
		return s, errRejected
	} else if err != nil {
		d.describeUnread(ctx, s)
		return s, err
	}
	if s.fetched == "" {
		d.watch.forget(PhaseFetch)
	}
	return s, d.watch.phase(PhaseFiles, func() error { return d.checkFiles(ctx, s) })
}

// start makes the server.
func (d *drill) start(ctx context.Context) error {
	return d.watch.phase(PhaseStart, func() (err error) {
		d.server, err = d.Server(ctx, d.source.serverSpec())
		if err != nil {
			return infrastructure(err)
		}
		d.report.Server = d.server.Info()
		return d.describeServer(ctx)
	})
}

// leave removes the server, or lets one in which something is to be looked at live.
func (d *drill) leave(ctx context.Context) error {
	if d.KeepOnFailure && d.report.Verdict != Passed && ctx.Err() == nil {
		look, remove, err := d.server.Keep(ctx)
		if err == nil {
			d.report.Kept = &Kept{Look: look + " -d " + archive.ShellQuote(d.database), Remove: remove}
			return nil
		}
		return errors.Join(err, d.server.Remove(ctx))
	}
	return d.server.Remove(ctx)
}

// restore restores the backup as a real recovery would, but for what reaches out of the server.
func (d *drill) restore(ctx context.Context) error {
	d.database = d.source.archive.TOC().DatabaseName()
	if err := d.provideRoles(ctx); err != nil {
		return err
	}
	start := time.Now()
	result, err := restore.FromArchive(ctx, d.source.archive, restore.ArchiveOptions{
		To: d.server.Endpoint(d.database), Jobs: d.Jobs, Replace: true, DropOld: true, Verified: true,
		Archive:  archive.RestoreOptions{NoPublications: true, NoSubscriptions: true, NoTablespaces: true},
		FreeDisk: d.server.FreeDisk, Reporter: d.watch,
	})
	check := Check{Name: "restore", Title: "Restored without one error", Expected: human.Count(len(d.source.entries()), "entry", "entries"), Elapsed: time.Since(start)}
	if err != nil {
		err = d.blame(ctx, err)
		if !isInfrastructure(err) {
			check.fail("the restore failed", oneLine(err))
			d.report.add(check)
			return errRejected
		}
		return err
	}
	d.restored = result
	if b := &d.report.Backup; d.source.manifest() == nil { // which would have said so before
		b.Tables, b.LargeObjects = len(result.Tables), int64(result.LargeObjects)
		for _, t := range result.Tables {
			b.Rows, b.Raw = b.Rows+t.Rows, b.Raw+t.Bytes
		}
	}
	restored := 0
	for _, n := range result.Objects {
		restored += n
	}
	check.Found = human.Count(restored, "entry", "entries")
	if want := len(d.source.entries()); restored != want {
		check.fail("", fmt.Sprintf("%d of the archive's %d entries were restored", restored, want))
	}
	d.report.add(check)
	return d.disableEventTriggers(ctx)
}

// oneLine is an error that may be of several.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// conclude gives the verdict.
func (d *drill) conclude(ctx context.Context, failure error) {
	r := d.report
	d.watch.close()
	r.Phases = d.watch.phases()
	r.Ended = d.Now().UTC()
	r.Elapsed = r.Ended.Sub(r.Started)
	switch {
	case failure == nil || errors.Is(failure, errRejected):
		r.judge()
	default:
		r.Verdict, r.Reason = NotRun, oneLine(failure)
	}
	if r.Verdict != NotRun && d.restored != nil {
		r.measure()
	}
}
