package nightly

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/backup"
	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/internal/hook"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// runLock is what two runs of a job contend for. Backups that are made by hand lock their own series only.
const runLock repository.Series = "@nightly"

// A run is one job being run.
type run struct {
	*Options
	job    *config.Job
	report *JobReport
	repo   *repository.Repository

	// Of the role of the application that drills read as.
	drilled   int  // backups
	knowsRole bool // one of the backups, drilled or not
}

// run runs a job from the first ping to the last. What goes wrong is in the report.
func (r *run) run(ctx context.Context) {
	r.report.Started = r.Now()
	r.Reporter.Report(JobStart{r.report.Started, r.job.Name, r.job.Repository.URL})
	alarm := newAlarm(r.Options, r.job.Ping, r.job.Name)
	limited, cancel := context.WithTimeoutCause(ctx, time.Duration(r.job.Limits.Overall),
		&backup.LimitError{Limit: time.Duration(r.job.Limits.Overall)})
	defer cancel()
	r.fail(ctx, "", r.locked(limited, func(held context.Context) {
		alarm.start(ctx)
		if r.hooks(held, "before", r.job.Hooks.Before) {
			r.backups(held)
		}
		// What was stopped before is started again, however the backups went.
		r.hooks(context.WithoutCancel(ctx), "after", r.job.Hooks.After)
		r.metrics(ctx)
	}))
	r.report.Elapsed = r.Now().Sub(r.report.Started)
	r.Reporter.Report(JobEnd{r.Now(), r.report})
	alarm.end(ctx, r.report.Status, r.Summary([]*JobReport{r.report}))
}

// locked does something while no other run of the job can.
func (r *run) locked(ctx context.Context, do func(context.Context)) (err error) {
	if r.job.Undiscovered != nil {
		return r.job.Undiscovered
	}
	r.repo, err = r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.repo.Close()) }()
	lock, held, err := r.repo.Lock(ctx, runLock)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	do(held)
	return nil
}

func (o *Options) repository(ctx context.Context, job *config.Job, create bool) (*repository.Repository, error) {
	return repository.Open(ctx, job.Repository.URL, repository.Options{S3: job.Repository.S3(), Create: create, Command: "pgberth nightly", LockWait: time.Duration(job.Limits.LockWait),
		Reporter: o.Reporter, Now: o.Now})
}

func (r *run) open(ctx context.Context) (*repository.Repository, error) {
	return r.repository(ctx, r.job, true)
}

// fail takes note of what went wrong with a database, or with the job as a whole.
func (r *run) fail(ctx context.Context, database string, err error) {
	if err == nil {
		return
	}
	r.report.Status = worse(r.report.Status, statusOf(ctx, err))
	f := Failure{Job: r.job.Name, Database: database, Text: r.Explain(err), Err: err}
	r.report.Failures = append(r.report.Failures, f)
	r.Reporter.Report(Failing{r.Now(), f})
}

// backups backs up all that the job names and the server has.
func (r *run) backups(ctx context.Context) {
	source, err := r.Connect(ctx, r.job)
	if err != nil {
		r.fail(ctx, "", because(ctx, err))
		return
	}
	defer func() { r.fail(ctx, "", source.Close()) }()
	all, err := source.databases(ctx)
	if err != nil {
		r.fail(ctx, "", because(ctx, err))
		return
	}
	names, problems := choose(r.job, all)
	for _, problem := range problems {
		r.fail(ctx, "", problem)
	}
	if r.job.Globals.Wanted() {
		r.one(ctx, source, repository.Globals)
	}
	for _, name := range names {
		if ctx.Err() != nil {
			if r.report.Status != Interrupted {
				r.fail(ctx, name, fmt.Errorf("not backed up: %w", context.Cause(ctx)))
			}
			continue
		}
		r.one(ctx, source, repository.Database(name))
	}
	r.fail(ctx, "", r.unknownRole())
}

// unknownRole is about a role that no backup knows: it may be misspelt, and no drill reads as it. One that a backup lacks is no fault. Of backups
// that failed it cannot be said.
func (r *run) unknownRole() error {
	failed := slices.ContainsFunc(r.report.Backups, func(b *Backup) bool { return b.Failed })
	if r.job.Drill.SmokeAs == "" || r.drilled == 0 || r.knowsRole || failed {
		return nil
	}
	return &missingError{fmt.Sprintf("no backup knows the role %s, so no drill has read anything as it", human.Name(r.job.Drill.SmokeAs)), "mend drill.smoke_as in the configuration"}
}

// one makes one backup, drills it if that is due, and removes what the policy does not keep after it. A backup that is suspect, or that a drill has not
// passed, removes nothing: those before it may be the last good ones.
func (r *run) one(ctx context.Context, source *Source, series repository.Series) {
	name := series.Name()
	r.Reporter.Report(BackupStart{r.Now(), r.job.Name, name})
	started := time.Now()
	s := &scope{name: r.job.Name + "/" + name, next: r.Reporter, hide: r.job.Globals.Knows}
	made, err := r.make(ctx, source, series, s)
	err = because(ctx, err)
	made.Database = name
	if err == nil && !series.IsOwn() {
		err = because(ctx, r.drill(ctx, made, s))
	}
	if err == nil && len(made.Suspect) == 0 {
		err = r.forget(ctx, series, made)
	}
	made.Phases, made.Elapsed, made.Failed = s.phases, time.Since(started), err != nil
	r.report.Backups = append(r.report.Backups, made)
	if err != nil {
		r.fail(ctx, name, err)
		return
	}
	if len(made.Suspect) > 0 {
		r.report.Status = worse(r.report.Status, Suspect)
	}
	r.Reporter.Report(BackupEnd{r.Now(), r.job.Name, made})
}

// make makes one backup. It never returns nil.
func (r *run) make(ctx context.Context, source *Source, series repository.Series, s *scope) (*Backup, error) {
	made := &Backup{}
	options := backup.Options{
		Dump:       dump.Options{From: source.home, Codec: r.job.Compress.Codec, Jobs: r.job.Streams, Tool: r.Tool, Reporter: s},
		Repository: r.repo, Tags: r.job.Tags, Recipients: r.job.Recipients(), Check: backup.Check(r.job.ReadBack),
		Limits: backup.Limits{Stall: time.Duration(r.job.Limits.Stall)}, MaxFall: float64(r.job.Limits.MaxFall),
	}
	do := backup.Globals
	if !series.IsOwn() {
		options.Dump.From = source.Endpoint.WithDatabase(series.Name())
		options.AllowEmpty = series.Name() == maintenance && !slices.Contains(r.job.Databases, maintenance)
		clients, err := source.Clients(ctx, options.Dump.From)
		if err != nil {
			return made, err
		}
		options.Dump.Clients, do = clients, backup.Run
	}
	result, err := do(ctx, options)
	if err != nil {
		return made, source.explain(ctx, err)
	}
	totals := result.Manifest.Total()
	r.knowsRole = r.knowsRole || !series.IsOwn() && slices.ContainsFunc(result.Manifest.Roles, func(role archive.ManifestRole) bool { return role.Name == r.job.Drill.SmokeAs })
	made.ID, made.Size, made.Rows, made.Tables = result.ID, result.Size, totals.Rows, totals.Tables
	for _, w := range result.Warnings {
		if !s.hide(w) {
			made.Suspect = append(made.Suspect, w.Text)
		}
	}
	return made, nil
}

// drillEvery is how far apart weekly drills are at least: a week, less what one night may begin earlier than another.
const drillEvery = 7*24*time.Hour - 12*time.Hour

// drill drills a backup that was just made, if the job wants that tonight.
func (r *run) drill(ctx context.Context, made *Backup, s *scope) error {
	if r.job.Drill.When == config.DrillNever {
		return nil
	}
	if r.job.Drill.When == config.DrillWeekly {
		last, err := r.Driller.LastPassed(ctx, r.repo, made.Database)
		if err != nil {
			return fmt.Errorf("the backup was made, but when it was last drilled is not known: %w", err)
		}
		if r.Now().Sub(last) < drillEvery {
			return nil
		}
	}
	made.Drilled = true
	drilled, err := r.Driller.Drill(ctx, r.job, r.repo, made.Database+"/"+made.ID, s)
	r.drilled, r.knowsRole = r.drilled+1, r.knowsRole || !drilled.NoRole
	if err != nil {
		return fmt.Errorf("the backup was made, but not drilled with success, and no older one is removed: %w", err)
	}
	return nil
}

// forget applies the policy to the backups of a series of which one was just made.
func (r *run) forget(ctx context.Context, series repository.Series, made *Backup) error {
	policy := r.job.Policy()
	if policy.IsEmpty() {
		kept, err := r.repo.List(ctx, series)
		made.Kept = len(kept)
		return err
	}
	done, err := r.repo.Forget(ctx, repository.ForgetOptions{Policy: policy, Series: []repository.Series{series}, Prune: true})
	for _, f := range done {
		made.Kept += len(f.Decisions) - len(f.Removed)
		for _, removed := range f.Removed {
			made.Removed = append(made.Removed, removed.ID)
		}
	}
	if err != nil {
		return fmt.Errorf("the backup was made, but older ones could not be removed: %w", err)
	}
	return nil
}

// because gives the limit or the signal that has ended ctx as the reason of a failure, rather than what it led to.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// hooks runs the commands of a phase, the next only if the one before has succeeded.
func (r *run) hooks(ctx context.Context, phase string, commands config.Commands) bool {
	for _, argv := range commands {
		output, err := hook.Run(ctx, argv, r.hookEnv(phase), time.Duration(r.job.Hooks.Timeout))
		if err != nil {
			if output != "" {
				err = fmt.Errorf("%w; it wrote: %s", err, output)
			}
			r.fail(ctx, "", fmt.Errorf("%s the backups: %w", phase, err))
			return false
		}
		if output != "" {
			r.Reporter.Report(progress.Notice{Text: "hook " + argv[0] + ": " + output})
		}
	}
	return true
}

// hookEnv is what a command is told.
func (r *run) hookEnv(phase string) []string {
	var made, failed, errs []string
	for _, b := range r.report.Backups {
		if b.Failed {
			failed = append(failed, b.Database)
		} else {
			made = append(made, b.Database+"/"+b.ID)
		}
	}
	for _, f := range r.report.Failures {
		errs = append(errs, f.Text)
	}
	status, exit := r.report.Status.String(), strconv.Itoa(int(r.report.Status))
	if phase == "before" {
		status, exit = "", "" // nothing is done yet
	}
	return []string{
		"PGBERTH_HOOK_JOB=" + r.job.Name,
		"PGBERTH_HOOK_PHASE=" + phase,
		"PGBERTH_HOOK_STATUS=" + status,
		"PGBERTH_HOOK_EXIT_STATUS=" + exit,
		"PGBERTH_HOOK_ERROR=" + strings.Join(errs, "\n"),
		"PGBERTH_HOOK_REPOSITORY=" + r.repo.String(),
		"PGBERTH_HOOK_BACKUPS=" + strings.Join(made, "\n"),
		"PGBERTH_HOOK_FAILED=" + strings.Join(failed, "\n"),
	}
}
