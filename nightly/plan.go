package nightly

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/repository"
)

// A JobPlan is what a job would do now.
type JobPlan struct {
	Job        string       `json:"job"`
	Server     string       `json:"server"`
	Repository string       `json:"repository"`
	Backups    []BackupPlan `json:"backups"`
	Failures   []Failure    `json:"failures"`
}

// A BackupPlan is what would be done about one database.
type BackupPlan struct {
	Database string   `json:"database"`
	Kept     int      `json:"kept"` // with the new one
	Removed  []string `json:"removed"`
}

// Plan finds out what a run would do, and does nothing.
func Plan(ctx context.Context, opts Options) []*JobPlan {
	opts.complete()
	var plans []*JobPlan
	for _, job := range opts.Jobs {
		p := &JobPlan{Job: job.Name, Repository: job.Repository.URL, Backups: []BackupPlan{}, Failures: []Failure{}}
		opts.plan(ctx, job, p)
		plans = append(plans, p)
	}
	return plans
}

func (o *Options) plan(ctx context.Context, job *config.Job, p *JobPlan) {
	fail := func(err error) {
		if err != nil {
			p.Failures = append(p.Failures, Failure{Job: job.Name, Text: o.Explain(err), Err: err})
		}
	}
	source, err := o.Connect(ctx, job)
	if err != nil {
		fail(err)
		return
	}
	defer func() { fail(source.Close()) }()
	p.Server = source.Endpoint.Name
	all, err := source.databases(ctx)
	if err != nil {
		fail(err)
		return
	}
	names, problems := choose(job, all)
	for _, problem := range problems {
		fail(problem)
	}
	var series []repository.Series
	if job.Globals.Wanted() {
		series = append(series, repository.Globals)
	}
	for _, name := range names {
		series = append(series, repository.Database(name))
	}
	repo, err := o.repository(ctx, job, false)
	if errors.Is(err, repository.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		for _, s := range series { // the first run
			p.Backups = append(p.Backups, BackupPlan{Database: s.Name(), Kept: 1, Removed: []string{}})
		}
		return
	}
	if err != nil {
		fail(err)
		return
	}
	defer func() { fail(repo.Close()) }()
	for _, s := range series {
		backups, err := repo.List(ctx, s)
		if err != nil {
			fail(err)
			return
		}
		p.Backups = append(p.Backups, planForget(job, s, backups, o.Now()))
	}
}

// planForget applies the policy as if another backup had just been made.
func planForget(job *config.Job, s repository.Series, backups []*repository.Backup, now time.Time) BackupPlan {
	next := &repository.Backup{Series: s, Time: now, Manifest: &archive.Manifest{Backup: archive.ManifestBackup{Tags: job.Tags}}}
	p := BackupPlan{Database: s.Name(), Removed: []string{}}
	for _, d := range job.Policy().Apply(append(backups, next), now) {
		if d.Keep {
			p.Kept++
		} else {
			p.Removed = append(p.Removed, d.Backup.ID)
		}
	}
	return p
}
