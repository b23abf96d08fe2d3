package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// driller is what the drills of one run share.
type driller struct {
	*cli
	flags      *drillFlags
	assertions []drill.Assertion
	identities []archive.Identity
	stdout     io.Writer // for --junit -
	reporter   progress.Reporter
	resolver   *resolver
	repo       *repository.Repository // or nil
	several    bool                   // databases are drilled, one by one, and the role of --smoke-as need not be in each
	history    []*drill.Stored        // the chain that new reports carry on: the repository's, if there is one
	written    []*drill.Stored        // those in the directory of --report
}

func (d *driller) drillAll(ctx context.Context) ([]*drill.Report, error) {
	backups, err := d.backups(ctx)
	if err != nil {
		return nil, notRun(err)
	}
	if err := d.readHistory(ctx); err != nil {
		return nil, notRun(err)
	}
	if !d.several { // nightly's checks are for all databases of a job, each of which is drilled in a run of its own
		if err := d.checkAssertions(ctx, backups); err != nil {
			return nil, err
		}
	}
	d.several = d.several || len(backups) > 1
	var reports []*drill.Report
	before := d.history
	for _, b := range backups {
		b.Identities = d.identities
		r, err := d.drill(ctx, b)
		if r != nil {
			reports = append(reports, r)
		}
		if err != nil {
			return reports, err
		}
	}
	d.warnUnknownRole(reports)
	if err := d.writeJUnit(reports); err != nil {
		return reports, fmt.Errorf("--junit: %w", err)
	}
	if d.flags.metrics != "" {
		if err := drill.WriteMetrics(d.flags.metrics, reports, before); err != nil {
			return reports, fmt.Errorf("--metrics: %w", err)
		}
	}
	return reports, nil
}

func (d *driller) writeJUnit(reports []*drill.Report) error {
	switch d.flags.junit {
	case "":
		return nil
	case stdoutName:
		data, err := drill.JUnit(reports)
		if err == nil {
			_, err = d.stdout.Write(data)
		}
		return err
	}
	return drill.WriteJUnit(d.flags.junit, reports)
}

// A drillError ends drills, or keeps them from being begun. If it has no exit status of its own it has this.
type drillError struct {
	status int
	err    error
}

func (e *drillError) Error() string { return e.err.Error() }
func (e *drillError) Unwrap() error { return e.err }

func notRun(err error) error { return &drillError{exitDrillNotRun, err} }

// warnUnknownRole tells of a role that no backup has: it may be misspelt.
func (d *driller) warnUnknownRole(reports []*drill.Report) {
	skipped := 0
	for _, r := range reports {
		if lacksRole(r) {
			skipped++
		}
	}
	if skipped > 1 && skipped == len(reports) {
		d.reporter.Report(progress.Warning{Object: "--smoke-as " + d.flags.smokeAs, Text: "no backup that was drilled has that role, so nothing was read as it"})
	}
}

// checkAssertions refuses a check of the user's for a database that is not there, which would never be made.
func (d *driller) checkAssertions(ctx context.Context, backups []drill.Backup) error {
	if !slices.ContainsFunc(d.assertions, func(a drill.Assertion) bool { return a.Database != "" }) {
		return nil
	}
	var drilled, known []string
	for _, b := range backups {
		name := b.DatabaseName(ctx)
		if name == "" {
			return nil // the drill says why
		}
		drilled = append(drilled, name)
	}
	if d.repo != nil {
		series, err := d.repo.Series(ctx)
		if err != nil {
			return notRun(err)
		}
		for _, s := range series {
			known = append(known, s.Name())
		}
	}
	for _, a := range d.assertions {
		switch {
		case a.Database == "" || slices.Contains(drilled, a.Database):
		case slices.Contains(known, a.Database):
			d.reporter.Report(progress.Warning{Object: "check " + a.Name, Text: "is about database " + a.Database + ", which is not drilled now"})
		default:
			return &usageError{err: fmt.Errorf("--checks: %s: check %q is about database %q, and there is no backup of that; drilled is %s", d.flags.checks, a.Name, a.Database, strings.Join(drilled, ", "))}
		}
	}
	return nil
}

// lacksRole reports whether a backup does not know the role that was to read.
func lacksRole(r *drill.Report) bool {
	return slices.ContainsFunc(r.Checks, func(c drill.Check) bool { return c.Name == "smoke" && c.Status == drill.Skipped })
}

// backups finds what is to be drilled.
func (d *driller) backups(ctx context.Context) ([]drill.Backup, error) {
	if d.repo == nil {
		var list []drill.Backup
		for _, path := range d.flags.refs {
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("%w: %w", errNoArchive, err)
			}
			if err := isBackup(path); err != nil {
				return nil, err
			}
			list = append(list, drill.Backup{Name: path, Path: path})
		}
		return list, nil
	}
	refs, err := d.refs(ctx)
	if err != nil {
		return nil, err
	}
	var list []drill.Backup
	for _, ref := range refs {
		b, err := d.repo.Find(ctx, ref)
		if err != nil {
			return nil, err
		}
		if b.Series.IsOwn() {
			return nil, &usageError{err: fmt.Errorf("%s is no backup of a database, and only those are drilled; name one as DB/latest, or latest for every database", b)}
		}
		list = append(list, drill.Backup{Name: b.String(), Repository: d.repo.String(), Folder: b,
			Fetch: strings.HasPrefix(d.repo.String(), "s3://")})
	}
	return list, nil
}

// isBackup refuses a directory in which nothing is of a backup. A file is one, though perhaps a damaged one.
func isBackup(path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() || exists(filepath.Join(path, archive.ManifestName)) {
		return err
	}
	if _, err := archive.Detect(path); errors.Is(err, archive.ErrNotArchive) {
		return &usageError{err: fmt.Errorf("%w; backups in a repository are drilled with --repo", err)}
	}
	return nil
}

// refs are the backups that are asked for. The latest is that of every database.
func (d *driller) refs(ctx context.Context) ([]string, error) {
	wanted := d.flags.refs
	if d.flags.all {
		wanted = []string{repository.Latest}
	}
	var refs []string
	for _, ref := range wanted {
		if ref != repository.Latest {
			refs = append(refs, ref)
			continue
		}
		series, err := d.repo.Series(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range series {
			if !s.IsOwn() {
				refs = append(refs, s.Name()+"/"+repository.Latest)
			}
		}
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("%s has no backups: %w", d.repo, repository.ErrNotFound)
	}
	return refs, nil
}

// readHistory reads the reports there are.
func (d *driller) readHistory(ctx context.Context) (err error) {
	if d.flags.report != "" {
		if d.written, err = drill.ReadDir(d.flags.report); err != nil {
			return err
		}
		d.history = slices.Clone(d.written)
	}
	if d.repo != nil {
		d.history, err = drill.ReadRepository(ctx, d.repo)
	}
	return err
}

// drill drills one backup and stores the report. What was drilled is not known before it is open: the report before this
// one is looked up by the backup's series.
func (d *driller) drill(ctx context.Context, b drill.Backup) (*drill.Report, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	f := d.flags
	r, err := drill.Run(ctx, drill.Options{
		Backup: b, Server: d.server(), Assertions: d.assertions, SmokeAs: f.smokeAs, SmokeIfThere: d.several, Amcheck: f.amcheck,
		RTO: time.Duration(f.rto), RPO: time.Duration(f.rpo), Jobs: int(f.jobs), KeepOnFailure: f.keep,
		Tool: "pgberth " + version(), Host: host, History: d.history, Reporter: d.reporter,
	})
	if r == nil {
		return nil, err
	}
	return r, errors.Join(err, d.store(ctx, r))
}

// server makes servers as asked for: docker's, those of this host, or the latter where no engine answers.
func (d *driller) server() func(context.Context, drill.ServerSpec) (drill.Server, error) {
	return func(ctx context.Context, want drill.ServerSpec) (drill.Server, error) {
		if d.flags.server.value == "local" {
			return drill.Local(ctx, want)
		}
		engine, err := d.resolver.docker(ctx)
		if err == nil {
			return drill.Docker(engine, d.flags.image)(ctx, want)
		}
		if !localServes(d.flags.server.value, d.flags.image, err) {
			return nil, err
		}
		server, localErr := drill.Local(ctx, want)
		if localErr != nil {
			return nil, errors.Join(err, localErr)
		}
		d.reporter.Report(progress.Notice{Text: "no docker engine answers; the drill runs on this host's own server programs"})
		return server, nil
	}
}

// localServes reports whether a server of this host will do where docker's engine cannot be used.
func localServes(server, image string, engineErr error) bool {
	var none *containerpg.EngineError
	return server != "docker" && image == "" && errors.As(engineErr, &none)
}

// store keeps a report where it belongs. A drill that could not be run has one too.
func (d *driller) store(ctx context.Context, r *drill.Report) error {
	if d.flags.report != "" {
		path, err := drill.WriteDir(d.flags.report, r, d.written, d.history...)
		if err != nil {
			return fmt.Errorf("--report: %w", err)
		}
		d.reporter.Report(progress.Notice{Text: "report: " + path})
	}
	stored, err := r.Stored()
	if err != nil {
		return err
	}
	d.written = append(d.written, stored)
	if d.repo != nil {
		if stored, err = drill.WriteRepository(ctx, d.repo, r, d.history); err != nil {
			return fmt.Errorf("keep the report in %s: %w", d.repo, err)
		}
	}
	d.history = append(d.history, stored)
	return nil
}
