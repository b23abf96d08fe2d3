// Package nightly runs the jobs of a configuration: it backs up every database of every job, forgets what the policy does not keep,
// and tells whoever is to know. What fails is reported and does not keep the rest from being backed up.
package nightly

import (
	"context"
	"time"

	"github.com/pgberth/pgberth/internal/ping"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// Options are what a run is to do.
type Options struct {
	Config *config.Config
	Jobs   []*config.Job // of the configuration; none is all

	// Connect finds the server of a job. It must not need what only exists while a job runs.
	Connect func(ctx context.Context, job *config.Job) (*Source, error)
	// Driller is needed by jobs that have drills.
	Driller Driller

	// Explain writes an error with what to do about it; Summary what a run did. Nil is the error's own text, and nothing.
	Explain func(error) string
	Summary func([]*JobReport) string

	Reporter progress.Reporter
	Now      func() time.Time // nil is time.Now
	Tool     string           // name and version
	Ping     ping.Check       // how pings are tried again; without a URL
}

// A Driller restores backups into throwaway servers, checks them, and keeps the reports in their repository.
type Driller interface {
	// LastPassed is when the last drill of a database that passed ended; the zero time if there was none. It is asked once for each
	// database of a job, one job after the other.
	LastPassed(ctx context.Context, repo *repository.Repository, database string) (time.Time, error)
	// Drill drills a backup, DB/ID. The error says why it was rejected, or why the drill could not be run.
	Drill(ctx context.Context, job *config.Job, repo *repository.Repository, backup string, reporter progress.Reporter) (Drilled, error)
	// Check returns what would keep drills of a job from being run, of backups of a server of a major version, which is 0 if it is not known, in a container
	// of image, if it is in one. Nothing is made or fetched for it.
	Check(ctx context.Context, job *config.Job, major int, image string) []error
}

// Drilled is what there is to say of a drill besides its verdict.
type Drilled struct {
	NoRole bool // the backup does not know the role that was to read, and nothing was read as it
}

func (o *Options) complete() {
	if o.Reporter == nil {
		o.Reporter = progress.Discard
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Explain == nil {
		o.Explain = func(err error) string { return err.Error() }
	}
	if o.Summary == nil {
		o.Summary = func([]*JobReport) string { return "" }
	}
	if len(o.Jobs) == 0 {
		o.Jobs = o.Config.Jobs
	}
}

// Run runs the jobs one after the other. The report says how it went; there is no other error.
func Run(ctx context.Context, opts Options) *Report {
	opts.complete()
	report := &Report{Started: opts.Now()}
	// The check of the whole run hears of whole runs only.
	all := &alarm{opts: &opts}
	if len(opts.Jobs) == len(opts.Config.Jobs) {
		all = newAlarm(&opts, opts.Config.Ping, "")
	}
	all.start(ctx)
	for _, job := range opts.Jobs {
		j := &run{Options: &opts, job: job, report: &JobReport{Job: job.Name, Repository: job.Repository.URL, Backups: []*Backup{}, Failures: []Failure{}}}
		j.run(ctx)
		report.Jobs = append(report.Jobs, j.report)
		report.Status = worse(report.Status, j.report.Status)
		if ctx.Err() != nil {
			report.Status = Interrupted
			break
		}
	}
	report.Elapsed = opts.Now().Sub(report.Started)
	all.end(ctx, report.Status, opts.Summary(report.Jobs))
	return report
}
