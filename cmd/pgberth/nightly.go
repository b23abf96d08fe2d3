package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtools"
	"github.com/pgberth/pgberth/nightly"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/progress"
)

const nightlyLong = `nightly runs the jobs of a configuration file: each backs up every database of a
server that the job means, into a repository, with the roles and settings of the
server; checks what it wrote; removes what the job does not keep; and tells the
monitors it names. What fails does not keep the rest from being backed up.

It is for cron and systemd timers: nothing is printed if all is well, and
everything that is not goes to standard error. --print-config shows what can be
configured, --check tries everything but a dump, -n says what a run would do.

The exit status is 0 if all was backed up, 1 if anything was not, 3 if a backup
has much less in it than the one before, 11 if another run of the job goes on.`

// nightlyConfig names a configuration, and jobs of it.
type nightlyConfig struct {
	config string
	jobs   []string
}

func (f *nightlyConfig) add(flags *pflag.FlagSet) {
	flags.StringVarP(&f.config, "config", "c", "", "the configuration `FILE` of pgberth nightly, in YAML")
	flags.StringArrayVar(&f.jobs, "job", nil, "only the job of this `NAME`; may be repeated (default all)")
}

// load reads the configuration.
func (f *nightlyConfig) load(cmd *cobra.Command, c *cli) (*config.Config, []*config.Job, error) {
	cfg, err := config.Load(f.config, c.env, func(job *config.Job) ([]config.Found, error) { return discover(cmd, c, job) })
	if err != nil {
		return nil, nil, err
	}
	jobs, err := cfg.Choose(f.jobs)
	if err != nil {
		return nil, nil, usage(cmd, fmt.Errorf("--job: %w", err))
	}
	return cfg, jobs, nil
}

// discover finds the containers whose labels ask for backups, on the engine and of the Compose project that a job means.
func discover(cmd *cobra.Command, c *cli, job *config.Job) (found []config.Found, err error) {
	r := &resolver{cmd: cmd, c: c.forJob(job), reporter: progress.Discard}
	defer func() { err = errors.Join(err, r.Close()) }()
	engine, err := r.docker(cmd.Context())
	if err != nil {
		return nil, err
	}
	list, err := engine.Labelled(cmd.Context(), job.Project)
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		found = append(found, config.Found{Name: l.Name, Databases: l.Databases, Exclude: l.Exclude, Keep: l.Keep, Err: l.Err})
	}
	return found, nil
}

type nightlyFlags struct {
	nightlyConfig
	dryRun, printConfig, check, summary bool
}

func newNightlyCommand(c *cli) *cobra.Command {
	var f nightlyFlags
	cmd := &cobra.Command{
		Use:   "nightly --config FILE",
		Short: "Back up every database of every configured server, from cron",
		Long:  nightlyLong,
		Example: `  pgberth nightly --print-config > /etc/pgberth.yaml
  pgberth nightly --config /etc/pgberth.yaml --check
  pgberth nightly --config /etc/pgberth.yaml --summary`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.printConfig {
				return c.print(config.Example)
			}
			if err := f.validate(); err != nil {
				return usage(cmd, err)
			}
			return runNightly(cmd.Context(), cmd, c, f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.nightlyConfig.add(flags)
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would be backed up and removed, and do nothing")
	flags.BoolVar(&f.check, "check", false, "try every server, database, repository and monitor, without a dump")
	flags.BoolVar(&f.summary, "summary", false, "print what was done, even if all is well")
	flags.BoolVar(&f.printConfig, "print-config", false, "print a configuration file with every key explained")
	return cmd
}

func (f *nightlyFlags) validate() error {
	switch {
	case f.config == "":
		return errors.New("no configuration: give --config FILE; --print-config prints one to begin with")
	case f.dryRun && f.check:
		return errors.New("--check and --dry-run exclude each other")
	}
	return nil
}

// A nightlyError is a run that did not go well, and about which everything has been said.
type nightlyError struct {
	status nightly.Status
	text   string
}

func (e *nightlyError) Error() string { return e.text }

func runNightly(ctx context.Context, cmd *cobra.Command, c *cli, f nightlyFlags) error {
	options, err := f.options(ctx, cmd, c)
	if err != nil {
		return err
	}
	switch {
	case f.check:
		return runNightlyCheck(ctx, c, options)
	case f.dryRun:
		return runNightlyPlan(ctx, c, options)
	}
	var report *nightly.Report
	display := newRelay(c.nightlyDisplay())
	options.Reporter = display
	report = nightly.Run(ctx, options)
	if err := display.Close(); err != nil {
		return err
	}
	if err := c.printNightly(report, f.summary); err != nil {
		return err
	}
	if report.Status == nightly.Done {
		return nil
	}
	return &nightlyError{report.Status, nightlyOutcome(report)}
}

// options reads the configuration.
func (f *nightlyFlags) options(ctx context.Context, cmd *cobra.Command, c *cli) (nightly.Options, error) {
	cfg, jobs, err := f.load(cmd, c)
	if err != nil {
		return nightly.Options{}, err
	}
	n := &nightlyServers{cmd: cmd, c: c}
	options := nightly.Options{
		Config: cfg, Jobs: jobs, Connect: n.connect, Driller: &nightlyDrills{cmd: cmd, c: c}, Tool: "pgberth " + version(),
		Explain: func(err error) string { return explain(ctx, err) },
		Summary: func(jobs []*nightly.JobReport) string { return nightlyText(jobs, true) },
	}
	return options, nil
}

// explain is an error as it is told at the end of a command.
func explain(ctx context.Context, err error) string {
	var misuse *usageError
	if errors.As(err, &misuse) {
		err = misuse.err // the help of the command does not help
	}
	var b strings.Builder
	describeFailure(ctx, err).print(&b)
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), "pgberth: "), "\n")
}

// nightlyServers finds the servers of jobs.
type nightlyServers struct {
	cmd *cobra.Command
	c   *cli
}

func (n *nightlyServers) connect(ctx context.Context, job *config.Job) (*nightly.Source, error) {
	r := &resolver{cmd: n.cmd, c: n.c.forJob(job), project: job.Project, reporter: progress.Discard, wire: &job.Wire.Compression, anyDatabase: true}
	source, err := n.find(ctx, r, job)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return source, nil
}

func (n *nightlyServers) find(ctx context.Context, r *resolver, job *config.Job) (*nightly.Source, error) {
	if job.Undiscovered != nil {
		return nil, job.Undiscovered
	}
	ref, err := r.parse("jobs."+job.Name+".from", job.From.Reveal())
	if err != nil {
		return nil, err
	}
	password := job.Password.Reveal()
	if ref.selector != nil {
		ref.selector.Password = password // without it the container might not be reached
	}
	at, err := r.resolve(ctx, "source", ref, "")
	if err != nil {
		return nil, err
	}
	if password != "" && ref.selector == nil {
		at.Endpoint = at.Endpoint.WithPassword(password)
	}
	return &nightly.Source{
		Endpoint: at.Endpoint,
		Clients: func(ctx context.Context, database *conninfo.Endpoint) ([]pgtools.Client, error) {
			return r.clients(ctx, job.PgDump, place{database, at.server}, place{})
		},
		Explain: r.explain,
		Close:   r.Close,
	}, nil
}

func runNightlyCheck(ctx context.Context, c *cli, options nightly.Options) error {
	failures := nightly.Probe(ctx, options)
	for _, f := range failures {
		if err := c.printNightlyFailure(nightly.Failing{Time: time.Now(), Failure: f}); err != nil {
			return err
		}
	}
	if len(failures) > 0 {
		return &nightlyError{nightly.Failed, count(len(failures), "problem") + " found"}
	}
	if c.json {
		return writeJSON(c.stdout, "checked", struct {
			Jobs int `json:"jobs"`
		}{len(options.Jobs)})
	}
	return c.print(fmt.Sprintf("%s: no problem found in %s\n", printable(options.Config.Path), count(len(options.Jobs), "job")))
}

func runNightlyPlan(ctx context.Context, c *cli, options nightly.Options) error {
	plans := nightly.Plan(ctx, options)
	failed := 0
	for _, p := range plans {
		failed += len(p.Failures)
		if c.json {
			if err := writeJSON(c.stdout, "plan", p); err != nil {
				return err
			}
			continue
		}
		if err := c.print(nightlyPlanText(p)); err != nil {
			return err
		}
		for _, f := range p.Failures {
			if err := c.printNightlyFailure(nightly.Failing{Time: time.Now(), Failure: f}); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return &nightlyError{nightly.Failed, "a run would fail"}
	}
	return nil
}

// printNightlyFailure prints a failure at once.
func (c *cli) printNightlyFailure(f nightly.Failing) error {
	if c.json {
		return writeJSON(c.stdout, f.EventName(), f)
	}
	_, err := io.WriteString(c.stderr, nightlyFailureText(f.Failure)+"\n")
	return err
}

// printNightly prints the summary: as data if it was asked for, else if something is wrong, to standard error.
func (c *cli) printNightly(report *nightly.Report, asked bool) error {
	switch {
	case c.json:
		return writeJSON(c.stdout, "result", report)
	case asked || c.verbose:
		return c.print(nightlyText(report.Jobs, false))
	case report.Status != nightly.Done:
		_, err := io.WriteString(c.stderr, nightlyText(report.Jobs, false))
		return err
	}
	return nil
}
