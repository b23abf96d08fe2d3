package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/archive"
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
func (n *nightlyDrills) Drill(ctx context.Context, job *config.Job, repo *repository.Repository, backup string, reporter progress.Reporter) (_ nightly.Drilled, err error) {
	f := &drillFlags{
		server: newChoice(job.Drill.Server, "docker", "local"), image: job.Drill.Image, checks: job.Drill.Checks, smokeAs: job.Drill.SmokeAs,
		rto: target(job.Drill.RTO), rpo: target(job.Drill.RPO), jobs: streams(job.Streams), refs: []string{backup},
	}
	c := n.c.forJob(job)
	d := &driller{cli: c, flags: f, reporter: reporter, repo: repo, several: true, resolver: &resolver{cmd: n.cmd, c: c, reporter: reporter}}
	defer func() { err = errors.Join(err, d.resolver.Close()) }()
	var errs []error
	if d.assertions, d.identities, errs = readDrillFiles(job, reporter); len(errs) > 0 {
		return nightly.Drilled{}, errors.Join(errs...)
	}
	reports, err := d.drillAll(ctx)
	for _, r := range reports {
		if r.Verdict != drill.Passed {
			err = errors.Join(fmt.Errorf("the drill's verdict is %s:\n%s", r.Verdict, strings.TrimSpace(drillText(r))), err)
		}
	}
	return nightly.Drilled{NoRole: len(reports) > 0 && lacksRole(reports[0])}, err
}

// Check implements [nightly.Driller].
func (n *nightlyDrills) Check(ctx context.Context, job *config.Job, major int, image string) []error {
	_, _, errs := readDrillFiles(job, progress.Discard)
	if major == 0 {
		return errs
	}
	if err := n.checkServer(ctx, job, major, image); err != nil {
		errs = append(errs, fmt.Errorf("a drill could not be run: %w", err))
	}
	return errs
}

// checkServer sees that the throwaway server could be made that driller.server would make.
func (n *nightlyDrills) checkServer(ctx context.Context, job *config.Job, major int, image string) (err error) {
	r := &resolver{cmd: n.cmd, c: n.c.forJob(job), reporter: progress.Discard}
	defer func() { err = errors.Join(err, r.Close()) }()
	if job.Drill.Server == "local" {
		return drill.CheckLocal(ctx, major)
	}
	engine, err := r.docker(ctx)
	if err != nil {
		if !localServes(job.Drill.Server, job.Drill.Image, err) {
			return err
		}
		if localErr := drill.CheckLocal(ctx, major); localErr != nil {
			return errors.Join(err, localErr)
		}
		return nil
	}
	name, there, err := engine.FindServerImage(ctx, major, job.Drill.Image, image)
	if err == nil && !there {
		err = fmt.Errorf("image %s is not on the docker engine, and would have to be pulled at night: docker pull %[1]s, or name another with drill.image", name)
	}
	return err
}

// readDrillFiles reads the files that a job's drills need.
func readDrillFiles(job *config.Job, reporter progress.Reporter) (assertions []drill.Assertion, identities []archive.Identity, errs []error) {
	var err error
	if job.Drill.Checks != "" {
		if assertions, err = readAssertions(job.Drill.Checks); err != nil {
			errs = append(errs, fmt.Errorf("drill.checks: %w", err))
		}
	}
	if job.Drill.Identity != "" {
		if identities, err = readIdentities(job.Drill.Identity, reporter); err != nil {
			errs = append(errs, fmt.Errorf("drill.identity_file: %w", err))
		}
	}
	return assertions, identities, errs
}

// forJob is the command with what a job says of the docker engine.
func (c *cli) forJob(job *config.Job) *cli {
	own := *c
	if job.DockerHost != "" || job.DockerContext != "" {
		own.docker.host, own.docker.context = job.DockerHost, job.DockerContext
	}
	return &own
}
