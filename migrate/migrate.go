package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/internal/preflight"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

// Run migrates. An error leaves the target's databases as they were. After a
// [*restore.PartialError] the new database is in place and the result valid.
func Run(ctx context.Context, opts Options) (_ *Result, err error) {
	defer func() { err = session.Interrupted(ctx, err) }()
	start := time.Now()
	m, err := open(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer m.close(ctx)
	if err := m.preflight(ctx, m.lockTarget); err != nil {
		return nil, err
	}
	if err := m.findings.Err(); err != nil {
		return nil, err
	}
	for _, w := range m.findings.Warnings {
		m.Reporter.Report(progress.Warning{Object: w.Object, Text: w.Text, Remedy: w.Remedy})
	}
	elapsed := time.Since(start)
	m.Reporter.Report(progress.PhaseEnd{Phase: progress.Preflight, Elapsed: elapsed})
	done, err := m.restore(ctx)
	var partial *restore.PartialError
	if err != nil && !errors.As(err, &partial) {
		return nil, err
	}
	result := m.result(done)
	result.Phases = append([]Phase{{Name: progress.Preflight, Elapsed: elapsed}}, result.Phases...)
	result.Elapsed = time.Since(start)
	return result, err
}

// DryRun returns what Run would do, and touches nothing. With problems, the
// plan comes together with a *PreflightError.
func DryRun(ctx context.Context, opts Options) (_ *Plan, err error) {
	defer func() { err = session.Interrupted(ctx, err) }()
	m, err := open(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer m.close(ctx)
	if err := m.preflight(ctx, func(context.Context) error { return nil }); err != nil {
		return nil, err
	}
	return m.describe(), m.findings.Err()
}

// migration is a run, or the part of it that touches nothing.
type migration struct {
	Options
	snapshot *dump.Snapshot
	target   *restore.Target
	clients  []pgtools.Client // to be tried, best first
	live     *dump.Live
	client   pgtools.Client // that wrote live
	roles    roles
	survey   *restore.Survey
	findings preflight.Findings
	stop     context.CancelFunc // ends what reads the source's schema
}

func open(ctx context.Context, opts Options) (_ *migration, err error) {
	if opts.Reporter == nil {
		opts.Reporter = progress.Discard
	}
	if opts.Verify == "" {
		opts.Verify = VerifyRows
	}
	if opts.Jobs <= 0 {
		opts.Jobs = opts.Resources.Jobs()
		if opts.From.Wire != nil || opts.To.Wire != nil {
			opts.Jobs = max(opts.Jobs, copywire.WireJobs)
		}
	}
	m := &migration{Options: opts, stop: func() {}}
	opts.Reporter.Report(progress.PhaseStart{Phase: progress.Preflight})
	sourceCtx, stop := context.WithCancel(ctx)
	defer stop()
	var sourceErr error
	var source sync.WaitGroup
	source.Go(func() { m.snapshot, sourceErr = dump.Open(sourceCtx, opts.From) })
	if m.target, err = restore.OpenTarget(ctx, opts.To, opts.InPlace, opts.Reporter); err != nil {
		stop()
	}
	source.Wait()
	switch {
	case err != nil && sourceErr == nil:
		m.snapshot.Close(ctx)
	case err == nil && sourceErr != nil:
		err = sourceErr
		_ = m.target.Close(ctx)
	}
	if err != nil {
		return nil, err
	}
	if opts.CopyFormat == CopyText || opts.To.Wire != nil {
		m.snapshot.AsText() // on a wire nothing tells binary rows that were cut short from whole ones there
	}
	return m, nil
}

// lockTarget makes the target this run's own, and puts right what runs that are dead have left there.
func (m *migration) lockTarget(ctx context.Context) error {
	if err := m.target.Lock(ctx); err != nil || m.InPlace {
		return err
	}
	if err := m.target.DropLeftovers(ctx); err != nil {
		return err
	}
	return m.target.RecoverSettings(ctx, m.Restart)
}

func (m *migration) close(ctx context.Context) {
	m.stop()
	if m.live != nil {
		_ = m.live.Close() // its error was seen when its output was used up
	}
	m.snapshot.Close(ctx)
	_ = m.target.Close(ctx)
}

// restore runs the restore engine. A target that refuses the pre-data SQL of
// one client may take that of another: minor releases differ in what they write.
func (m *migration) restore(ctx context.Context) (*restore.Result, error) {
	var refusals []error
	for {
		done, err := restore.Run(ctx, restore.Options{
			Source: m.live, Target: m.target, Roles: m.roles.create, Jobs: m.Jobs, Resources: m.Resources, FastLoad: m.FastLoad, Restart: m.Restart,
			Replace: m.Replace, DropOld: m.DropOld, Disconnect: m.Disconnect, InPlace: m.InPlace,
			VerifyRows: m.Verify != VerifyNone, VerifyData: m.Verify == VerifyData,
			Confirm: m.snapshot.Confirm,
			Archive: m.archiveOptions(), Reporter: m.Reporter,
		})
		var refused *restore.RehearsalError
		if !errors.As(err, &refused) {
			return done, err
		}
		refusals = append(refusals, fmt.Errorf("the target refuses the schema written by %s: %w", m.client, err))
		if len(m.clients) == 0 {
			return nil, errors.Join(refusals...)
		}
		m.Reporter.Report(progress.Warning{Object: m.client.String(), Text: "the target refuses the schema it writes: " + err.Error(),
			Remedy: "trying " + m.clients[0].String()})
		_ = m.live.Close()
		if err := m.dump(ctx); err != nil {
			return nil, errors.Join(append(refusals, err)...)
		}
	}
}

// dump reads the schema with the first client that can.
func (m *migration) dump(ctx context.Context) error {
	m.live = nil
	var failures []error
	for len(m.clients) > 0 {
		m.client, m.clients = m.clients[0], m.clients[1:]
		live, err := m.snapshot.Dump(ctx, m.client, dump.Filter{
			Schemas: m.Schemas, ExcludeSchemas: m.ExcludeSchemas,
			Tables: m.Tables, ExcludeTables: m.ExcludeTables, ExcludeTableData: m.ExcludeTableData,
		})
		if err == nil {
			m.live = live
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

func (m *migration) archiveOptions() archive.RestoreOptions {
	return archive.RestoreOptions{NoOwner: m.NoOwner, NoPrivileges: m.NoPrivileges, NoTablespaces: m.NoTablespaces}
}

func (m *migration) result(done *restore.Result) *Result {
	r := &Result{
		From: m.From.Name, To: m.To.Name, FromVia: m.From.Via, ToVia: m.To.Via, Client: m.client.String(), Objects: done.Objects,
		LargeObjects: done.LargeObjects, Roles: done.RolesCreated, Verified: m.Verify,
		OldDatabase: done.OldDatabase, OldDropped: done.OldDropped,
	}
	for _, t := range done.Tables {
		r.Tables = append(r.Tables, Table{Name: t.Name, Bytes: t.Bytes, Rows: t.Rows})
		r.Rows += t.Rows
		r.Bytes += t.Bytes
	}
	for _, p := range done.Phases {
		r.Phases = append(r.Phases, Phase{Name: p.Name, Elapsed: p.Elapsed})
	}
	return r
}

func (m *migration) describe() *Plan {
	p := &Plan{
		From: m.From.Name, To: m.To.Name,
		SourceVersion: pgtools.FormatVersion(m.snapshot.Version), TargetVersion: pgtools.FormatVersion(m.target.Version),
		Jobs: m.Jobs, Objects: map[string]int{}, Problems: m.findings.Problems, Warnings: m.findings.Warnings,
	}
	for _, r := range m.roles.create {
		p.Roles = append(p.Roles, r.Name)
	}
	if m.InPlace {
		p.Staging = m.target.Name
	} else {
		p.Staging = restore.StagingPattern(m.target.Name)
		if existing := m.survey.Existing; existing != nil {
			p.Renamed = m.target.Renamed(existing)
		}
	}
	if m.live == nil {
		return p
	}
	p.Client = m.client.String()
	opts := m.archiveOptions()
	for _, e := range m.live.TOC().Entries {
		if !e.IsSetting() && !opts.Skips(e) {
			p.Objects[e.Desc]++
		}
	}
	for _, t := range m.live.Tables() {
		p.Tables = append(p.Tables, Table{Name: t.QualifiedName(), Bytes: t.Bytes})
		p.Bytes += t.Bytes
	}
	slices.SortStableFunc(p.Tables, func(a, b Table) int { return int(min(1, max(-1, b.Bytes-a.Bytes))) })
	return p
}
