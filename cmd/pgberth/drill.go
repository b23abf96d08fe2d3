package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/atomicfile"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/ping"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

const drillLong = `drill proves that a backup comes back. It restores it into a server made for
that, a container without a way out or a cluster on a unix socket, of the
backup's own version; holds the database against what was recorded in the dump's
own snapshot: objects, owners, privileges, sequences, extensions, every row;
measures how long the recovery took and how old the data is; and removes all it
made. Publications and subscriptions are not restored, event triggers disabled.

A BACKUP is its ID, DB/latest, or latest for that of every database, as with --all;
without --repo it is the path of an archive. Reports are kept in the repository,
or in the directory --report names. Of several drills the worst gives the status.

The exit status is 0 if the backup passed, 21 if it was rejected, and 22 if the
drill could not be run, which says nothing about the backup.`

type drillFlags struct {
	repoFlags
	identity                 identityFlags
	all, reap, amcheck, keep bool
	image                    string
	server                   *choice
	checks, smokeAs          string
	rto, rpo                 target
	report, junit, metrics   string
	ping                     string
	jobs                     streams
	refs                     []string
}

func newDrillCommand(c *cli) *cobra.Command {
	f := drillFlags{server: newChoice("", "docker", "local")}
	cmd := &cobra.Command{
		Use:   "drill [BACKUP... | --all] --repo REPOSITORY",
		Short: "Restore a backup into a throwaway server, check it, and report",
		Long:  drillLong,
		Example: `  pgberth drill latest --repo /var/backups/pg --rto 30m --rpo 26h
  pgberth drill --all --repo s3://offsite/pg --report /var/lib/pgberth/drills
  pgberth drill /var/backups/shop --checks shop-checks.yaml --smoke-as shop_app
  pgberth drill --reap`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.refs = args
			err := f.validate(c)
			if err == nil {
				err = f.checkOutputs()
			}
			if err != nil {
				return usage(cmd, err)
			}
			if f.reap {
				return runReap(cmd, c)
			}
			return runDrill(cmd, c, &f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.repoFlags.add(flags)
	f.identity.add(flags)
	flags.BoolVar(&f.all, "all", false, "drill the newest backup of every database in the repository")
	flags.StringVar(&f.image, "image", "", "run this `IMAGE`, of the backup's version (default that of the backup's own\nserver if it is there, else postgres:VERSION)")
	flags.Var(f.server, "server", "where: docker, or local for the server programs of this host (default docker\nif an engine answers)")
	flags.StringVar(&f.checks, "checks", "", "run the SQL checks in this YAML `FILE` too")
	flags.StringVar(&f.smokeAs, "smoke-as", "", "read, as `ROLE`, a row of all that it may read")
	flags.Var(&f.rto, "rto", "how long the recovery may take; longer is a failure")
	flags.Var(&f.rpo, "rpo", "how old the data may be; older is a failure")
	flags.BoolVar(&f.amcheck, "amcheck", false, "hold every B-tree against its table, with the extension amcheck")
	flags.BoolVar(&f.keep, "keep-on-failure", false, "leave the server of a drill that did not pass, and say how to look in")
	flags.StringVar(&f.report, "report", "", "write reports, JSON and a page, and an index of all into `DIR`")
	flags.StringVar(&f.junit, "junit", "", "write the checks as JUnit XML to `FILE`, or - for standard output")
	flags.StringVar(&f.metrics, "metrics", "", "write metrics for the textfile collector to `FILE`")
	flags.StringVar(&f.ping, "ping", "", "tell the monitor at `URL`, as healthchecks.io has it, how the drill went")
	flags.VarP(&f.jobs, "jobs", "j", "parallel streams (default by the machine)")
	flags.BoolVar(&f.reap, "reap", false, "only remove what drills that were killed have left on this machine")
	return cmd
}

func (f *drillFlags) validate(c *cli) error {
	switch {
	case f.junit == stdoutName && c.json:
		return errors.New("--junit - and --json both write to standard output; give --junit a file")
	case f.reap && (len(f.refs) > 0 || f.all):
		return errors.New("--reap drills nothing: give it alone")
	case f.reap:
		return nil
	case f.all && len(f.refs) > 0:
		return errors.New("--all drills the newest backup of every database; give it, or backups")
	case f.all && f.repo == "":
		return errors.New("--all needs a repository: give --repo, or set PGBERTH_REPO")
	case f.server.value == "local" && f.image != "":
		return errors.New("--image is of a container, and --server local makes none; leave one of them out")
	case f.repo == "" && slices.Contains(f.refs, repository.Latest) && !exists(repository.Latest):
		return errors.New("latest is a backup in a repository: give --repo, or set PGBERTH_REPO")
	case len(f.refs) == 0 && !f.all && f.repo != "":
		f.refs = []string{repository.Latest}
	case len(f.refs) == 0 && !f.all:
		return errors.New("nothing to drill: give --repo and a backup, or the path of an archive")
	}
	if f.ping != "" {
		if err := ping.Validate(f.ping); err != nil {
			return fmt.Errorf("--ping: %w", err)
		}
	}
	return nil
}

// stdoutName stands for standard output where a file is named.
const stdoutName = "-"

// checkOutputs sees that what is to be written after a drill, which may take hours, can be.
func (f *drillFlags) checkOutputs() error {
	check := func(flag, name string, check func(string) error) error {
		if name == "" || name == stdoutName && flag == "--junit" {
			return nil
		}
		err := check(name)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w; make the directory first, with mkdir -p", flag, err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w; name another place, or let this user write there", flag, err)
		}
		return nil
	}
	return errors.Join(check("--report", f.report, atomicfile.CheckOutputDir), check("--junit", f.junit, atomicfile.CheckOutput), check("--metrics", f.metrics, atomicfile.CheckOutput))
}

// A target is a duration that can be met.
type target duration

func (t *target) Type() string   { return "DURATION" }
func (t *target) want() string   { return "a duration longer than 0, such as 30m, 26h or 7d" }
func (t *target) String() string { return (*duration)(t).String() }

func (t *target) Set(s string) error {
	err := (*duration)(t).Set(s)
	if err == nil && *t == 0 {
		err = errors.New("nothing takes no time")
	}
	return err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// runReap removes what dead drills have left. Where no engine answers there are no containers to remove.
func runReap(cmd *cobra.Command, c *cli) error {
	var removed []string
	err := c.withReporter(func(reporter progress.Reporter) (err error) {
		r := &resolver{cmd: cmd, c: c, reporter: reporter}
		defer func() { err = errors.Join(err, r.Close()) }()
		ctx := cmd.Context()
		removed, err = drill.Reap(ctx)
		engine, engineErr := r.docker(ctx)
		if engineErr != nil {
			reporter.Report(progress.Warning{Object: "docker", Text: engineErr.Error(), Remedy: "with an engine, run this again if drills ran in containers"})
			return err
		}
		containers, engineErr := engine.Reap(ctx)
		removed = append(removed, containers...)
		return errors.Join(err, engineErr)
	})
	if c.json {
		return errors.Join(err, writeJSON(c.stdout, "reaped", struct {
			Removed []string `json:"removed"`
		}{orEmpty(removed)}))
	}
	switch {
	case len(removed) == 0 && err != nil: // something was left, and still is
		return err
	case len(removed) == 0:
		return c.print("nothing was left\n")
	}
	return errors.Join(err, c.print("removed "+strings.Join(removed, "\nremoved ")+"\n"))
}

// runDrill drills one backup after the other.
func runDrill(cmd *cobra.Command, c *cli, f *drillFlags) error {
	assertions, err := f.assertions()
	if err != nil {
		return usage(cmd, err)
	}
	d := &driller{cli: c, flags: f, assertions: assertions, stdout: c.stdout}
	if f.junit == stdoutName {
		c.stdout = c.stderr
	}
	var reports []*drill.Report
	err = c.withReporter(func(reporter progress.Reporter) (err error) {
		ctx := cmd.Context()
		d.reporter, d.resolver = reporter, &resolver{cmd: cmd, c: c, reporter: reporter}
		defer func() { err = errors.Join(err, d.resolver.Close()) }()
		if d.identities, err = f.identity.identities(reporter); err != nil {
			return err
		}
		f.tell(ctx, reporter, func(m ping.Check) error { return m.Start(ctx) })
		if f.repo != "" {
			if d.repo, err = f.open(ctx, cmd, reporter, false); err != nil {
				return notRun(err)
			}
			defer func() { err = errors.Join(err, d.repo.Close()) }()
		}
		reports, err = d.drillAll(ctx)
		return err
	})
	status, err := drillsStatus(cmd.Context(), reports, err)
	for _, r := range reports {
		err = errors.Join(err, c.printDrill(r))
	}
	f.tell(cmd.Context(), progress.Discard, func(m ping.Check) error {
		return m.End(context.WithoutCancel(cmd.Context()), status, drillSummary(reports, err))
	})
	if err == nil && status != exitDone {
		err = &reportedError{status}
	}
	return err
}

// assertions reads the file of the user's checks.
func (f *drillFlags) assertions() (list []drill.Assertion, err error) {
	if f.checks == "" {
		return nil, nil
	}
	if list, err = readAssertions(f.checks); err != nil {
		return nil, fmt.Errorf("--checks: %w", err)
	}
	return list, nil
}

func readAssertions(name string) ([]drill.Assertion, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close() // only read from
	list, err := drill.ReadAssertions(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

// tell reaches the monitor, if there is one. A monitor that cannot be reached will raise its alarm by itself.
func (f *drillFlags) tell(ctx context.Context, reporter progress.Reporter, say func(ping.Check) error) {
	if f.ping == "" {
		return
	}
	m := ping.Check{URL: f.ping}
	if err := say(m); err != nil && ctx.Err() == nil {
		reporter.Report(progress.Warning{Object: m.Host(), Text: "was not told of the drill: " + err.Error()})
	}
}

// drillStatus is the exit status of a drill.
func drillStatus(r *drill.Report) int {
	switch r.Verdict {
	case drill.Passed:
		return exitDone
	case drill.Rejected:
		return exitDrillFailed
	}
	return exitDrillNotRun
}

// drillsStatus is the exit status of drills, and their error with it. What ended the command comes before what became of the
// backups; that something of a drill is left comes after.
func drillsStatus(ctx context.Context, reports []*drill.Report, err error) (int, error) {
	ended := exitCode(ctx, err)
	_, left := errors.AsType[*drill.LeftError](err)
	left = left && ended == exitFailed
	status := ended
	if left {
		status = exitDone
	}
	for _, r := range reports {
		status = worstDrill(status, drillStatus(r))
	}
	if left && status != exitDone {
		return status, &drillError{status, err}
	}
	return cmp.Or(status, ended), err
}

// worstDrill is the status of several drills: that of a backup that was rejected, else that of one that could not be
// drilled. What ended the command comes before both.
func worstDrill(status, next int) int {
	if status == exitDone || status == exitDrillNotRun && next != exitDone {
		return next
	}
	return status
}

func (c *cli) printDrill(r *drill.Report) error {
	if c.json {
		return writeJSON(c.stdout, "drill", r)
	}
	return c.print(drillText(r))
}

// drillText is a report for a terminal: the verdict, what failed, the numbers.
func drillText(r *drill.Report) string {
	t := table{align: "ll"}
	t.add(string(r.Verdict), printable(r.Backup.Name))
	if r.Reason != "" && r.Verdict == drill.NotRun {
		t.add("why", printable(r.Reason))
	}
	for _, c := range r.Checks {
		if c.Status == drill.OK || c.Status == drill.Skipped {
			continue
		}
		for _, problem := range c.Problems {
			t.add(string(c.Status), printable(c.Name+": "+problem))
		}
		if c.More > 0 {
			t.add("", "and "+count(c.More, "more problem"))
		}
	}
	if r.Backup.Database != "" {
		t.add("backup", fmt.Sprintf("%s in %s, %s; %s stored", count(r.Backup.Rows, "row"), count(r.Backup.Tables, "table"), human.Bytes(r.Backup.Raw), human.Bytes(r.Backup.Stored)))
	}
	if r.Server.Kind != "" {
		t.add("server", strings.TrimSpace("PostgreSQL "+r.Server.Version+", "+r.Server.Kind+" "+r.Server.Image))
	}
	t.add("checks", fmt.Sprintf("%d passed, %d failed, %d with a warning, %d skipped", r.Count(drill.OK), r.Count(drill.Bad), r.Count(drill.Warned), r.Count(drill.Skipped)))
	t.add("recovery time", objective(r.RTO))
	t.add("age of the data", objective(r.RPO))
	var phases []string
	for _, p := range r.Phases {
		if p.Elapsed*100 >= r.Elapsed {
			phases = append(phases, p.Name+" "+human.Duration(p.Elapsed))
		}
	}
	t.add("time", human.Duration(r.Elapsed)+": "+strings.Join(phases, ", "))
	if r.Kept != nil {
		t.add("kept", r.Kept.Look)
		t.add("", "then: "+r.Kept.Remove)
	}
	return t.String()
}

func objective(o drill.Objective) string {
	if o.Measured == 0 {
		return "not measured"
	}
	text := human.Duration(o.Measured)
	switch {
	case o.Missed():
		text += ", the target of " + human.Duration(o.Target) + " was missed"
	case o.Target > 0:
		text += ", within the target of " + human.Duration(o.Target)
	}
	return text
}

// drillSummary is what the monitor is told.
func drillSummary(reports []*drill.Report, err error) string {
	var b strings.Builder
	for _, r := range reports {
		b.WriteString(drillText(r) + "\n")
	}
	if err != nil {
		b.WriteString(err.Error() + "\n")
	}
	return b.String()
}
