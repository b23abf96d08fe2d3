package nightly

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"

	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/internal/atomicfile"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/internal/session"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/repository"
)

// Probe tries everything that a run needs, without a dump: servers, databases, privileges, clients, repositories, hooks, metrics, monitors, what drills need. It returns all that fails.
func Probe(ctx context.Context, opts Options) []Failure {
	opts.complete()
	p := &probe{Options: &opts}
	if len(opts.Jobs) == len(opts.Config.Jobs) {
		p.monitor(ctx, opts.Config.Ping)
	}
	for _, job := range opts.Jobs {
		p.job = job
		p.monitor(ctx, job.Ping)
		p.hooks()
		p.metrics()
		p.repository(ctx)
		p.drill(ctx, p.source(ctx))
	}
	return p.failures
}

type probe struct {
	*Options
	job      *config.Job // nil for the run as a whole
	failures []Failure
}

func (p *probe) fail(database string, err error) {
	if err == nil {
		return
	}
	f := Failure{Database: database, Text: p.Explain(err), Err: err}
	if p.job != nil {
		f.Job = p.job.Name
	}
	p.failures = append(p.failures, f)
}

// monitor writes into the monitor's log, which does not change what it thinks of the check.
func (p *probe) monitor(ctx context.Context, ping config.Ping) {
	if ping.URL == "" {
		return
	}
	check := p.Ping
	check.URL = ping.URL.Reveal()
	p.fail("", check.Log(ctx, "pgberth nightly --check"))
}

// hooks sees that the programs are there; what they do is not to be done now.
func (p *probe) hooks() {
	for _, argv := range slices.Concat(p.job.Hooks.Before, p.job.Hooks.After) {
		if _, err := exec.LookPath(argv[0]); err != nil {
			p.fail("", fmt.Errorf("hook: %w", err))
		}
	}
}

// metrics sees that the file could be written, which must stay as it is.
func (p *probe) metrics() {
	if p.job.Metrics == "" {
		return
	}
	if err := atomicfile.CheckOutput(p.job.Metrics); err != nil {
		p.fail("", fmt.Errorf("the metrics could not be written: %w", err))
	}
}

func (p *probe) repository(ctx context.Context) {
	repo, err := p.Options.repository(ctx, p.job, true)
	if err != nil {
		p.fail("", err)
		return
	}
	p.fail("", errors.Join(probeRepository(ctx, repo), repo.Close()))
}

// probeRepository writes a file, reads it and removes it, where no backup is.
func probeRepository(ctx context.Context, repo *repository.Repository) (err error) {
	lock, ctx, err := repo.Lock(ctx, runLock)
	var locked *repository.LockedError
	if errors.As(err, &locked) {
		return nil // a run is writing there
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	draft, err := lock.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, draft.Abort()) }()
	const name = "probe"
	want := []byte("pgberth nightly --check\n")
	w, err := draft.Create(ctx, name, int64(len(want)))
	if err != nil {
		return err
	}
	if _, err := w.Write(want); err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := w.Commit(); err != nil {
		return err
	}
	r, err := draft.Open(ctx, name)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%s gives back %d other bytes than were written", repo, len(got))
	}
	return nil
}

// probed is what drills ask of the source. The zero value stands for one that is not known.
type probed struct {
	major int
	image string // of its container, or ""
}

// source opens a session on every database that the job means.
func (p *probe) source(ctx context.Context) (found probed) {
	source, err := p.Connect(ctx, p.job)
	if err != nil {
		p.fail("", err)
		return
	}
	defer func() { p.fail("", source.Close()) }()
	all, err := source.databases(ctx)
	if err != nil {
		p.fail("", err)
		return
	}
	if found, err = p.drilledFrom(ctx, source); err != nil {
		p.fail("", err)
	}
	names, problems := choose(p.job, all)
	for _, problem := range problems {
		p.fail("", problem)
	}
	for _, name := range names {
		p.fail(name, probeDatabase(ctx, source, name))
	}
	return found
}

// drilledFrom asks the server what drills of its backups need, and for the role that they are to read as.
func (p *probe) drilledFrom(ctx context.Context, source *Source) (found probed, err error) {
	if p.job.Drill.When == config.DrillNever {
		return found, nil
	}
	conn, err := source.connect(ctx)
	if err != nil {
		return found, err
	}
	defer session.HangUp(ctx, conn)
	role, version, known := p.job.Drill.SmokeAs, 0, false
	if err := conn.QueryRow(ctx, `
SELECT pg_catalog.current_setting('server_version_num')::int4, EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)`, role).Scan(&version, &known); err != nil {
		return found, fmt.Errorf("ask the server for its version: %w", err)
	}
	found = probed{pgtools.Major(version), source.Endpoint.Image}
	if role != "" && !known {
		return found, &missingError{fmt.Sprintf("drill.smoke_as: the server has no role %s", human.Name(role)), "mend it in the configuration; drills would read nothing as it"}
	}
	return found, nil
}

// drill sees that the backups of a server could be drilled.
func (p *probe) drill(ctx context.Context, server probed) {
	if p.job.Drill.When == config.DrillNever {
		return
	}
	for _, err := range p.Driller.Check(ctx, p.job, server.major, server.image) {
		p.fail("", err)
	}
}

// probeDatabase looks for what would keep a database from being dumped: tables that the role may not read, and a pg_dump that is too old.
func probeDatabase(ctx context.Context, source *Source, name string) error {
	endpoint := source.Endpoint.WithDatabase(name)
	snapshot, err := dump.Open(ctx, endpoint)
	if err != nil {
		return err
	}
	defer snapshot.Close(ctx)
	findings := snapshot.CheckAll()
	clients, err := source.Clients(ctx, endpoint)
	if err != nil {
		return err
	}
	major := pgtools.Major(snapshot.Version)
	if _, problem := pgtools.Rank(clients, major, major); problem != nil {
		findings.Problems = append(findings.Problems, *problem)
	}
	return findings.Err()
}
