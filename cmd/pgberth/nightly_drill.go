package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/nightly"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// nightlyDrills runs the drills of nightly as pgberth drill does.
type nightlyDrills struct {
	cmd *cobra.Command
	c   *cli

	repo    *repository.Repository // of the job that is running
	history []*drill.Stored        // in it when the job first asked
}

var _ nightly.Driller = (*nightlyDrills)(nil)

// LastPassed implements [nightly.Driller].
func (n *nightlyDrills) LastPassed(ctx context.Context, repo *repository.Repository, database string) (time.Time, error) {
	if n.repo != repo {
		history, err := drill.ReadRepository(ctx, repo)
		if err != nil {
			return time.Time{}, err
		}
		n.repo, n.history = repo, history
	}
	if last := drill.LastPassed(n.history, database); last != nil {
		return last.Ended, nil
	}
	return time.Time{}, nil
}

// Drill implements [nightly.Driller].
func (n *nightlyDrills) Drill(ctx context.Context, job *config.Job, repo *repository.Repository, backup string, reporter progress.Reporter) (err error) {
	f := &drillFlags{
		server: newChoice(job.Drill.Server, "docker", "local"), image: job.Drill.Image, checks: job.Drill.Checks, smokeAs: job.Drill.SmokeAs,
		rto: duration(job.Drill.RTO), rpo: duration(job.Drill.RPO), jobs: streams(job.Streams), refs: []string{backup},
	}
	if job.Drill.Identity != "" {
		f.identity = identityFlags{job.Drill.Identity}
	}
	assertions, err := f.assertions()
	if err != nil {
		return err
	}
	identities, err := f.identity.identities(reporter)
	if err != nil {
		return err
	}
	c := n.c.forJob(job)
	d := &driller{cli: c, flags: f, assertions: assertions, identities: identities, reporter: reporter, repo: repo, several: true, resolver: &resolver{cmd: n.cmd, c: c, reporter: reporter}}
	defer func() { err = errors.Join(err, d.resolver.Close()) }()
	reports, err := d.drillAll(ctx)
	for _, r := range reports {
		if r.Verdict != drill.Passed {
			err = errors.Join(fmt.Errorf("the drill's verdict is %s:\n%s", r.Verdict, strings.TrimSpace(drillText(r))), err)
		}
	}
	return err
}

// forJob is the command with what a job says of the docker engine.
func (c *cli) forJob(job *config.Job) *cli {
	own := *c
	if job.DockerHost != "" || job.DockerContext != "" {
		own.docker.host, own.docker.context = job.DockerHost, job.DockerContext
	}
	return &own
}
