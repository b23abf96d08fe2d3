package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/migrate"
	"github.com/pgberth/pgberth/nightly"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

const checkLong = `check looks whether the newest good backup of every database in a repository is
young enough and large enough, and whether any backup is damaged. It is for
monitoring: the exit status is 0 if all is well, and 1 if not, with the reasons.
It reads manifests and sizes only; pgberth verify reads the rest.

A database that never had a backup is not known here: name those that must have
one with --db.

With --config it looks at the repository of every job of pgberth nightly, with the
job's own max_age and min_size: at every database that the job names, and at
those in the repository that its patterns match. A database that was dropped
stays old; put it into the job's exclude. --max-drill-age is of every
job, or of those that --job names.

With --nagios it prints one line with performance data, and the exit status is
that of monitoring plugins: 0 OK, 1 WARNING (a backup is damaged, or has a time
that has not come yet), 2 CRITICAL (a newest backup is missing, too old or too
small), 3 UNKNOWN (the repository could not be read).`

type checkFlags struct {
	repoFlags
	nightlyConfig
	dbs     dbFlags
	maxAge  duration
	minSize byteSize
	nagios  bool

	maxDrillAge duration
}

func newCheckCommand(c *cli) *cobra.Command {
	f := checkFlags{maxAge: duration(26 * time.Hour)}
	cmd := &cobra.Command{
		Use:   "check {--repo REPOSITORY | --config FILE}",
		Short: "Say whether the newest backups are young and large enough",
		Long:  checkLong,
		Example: `  pgberth check --repo /var/backups/pg --max-age 26h --db shop --db billing
  pgberth check --config /etc/pgberth.yaml --nagios`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.validate(c); err != nil {
				return usage(cmd, err)
			}
			check := runCheck
			if f.config != "" {
				check = runCheckConfig
			}
			statuses, err := check(cmd, c, &f)
			if f.nagios {
				return c.printNagios(statuses, err)
			}
			if err != nil {
				return err
			}
			return errors.Join(c.printStatuses(statuses), problemsOf(statuses))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.repoFlags.add(flags)
	f.nightlyConfig.add(flags)
	flags.StringArrayVar((*[]string)(&f.dbs), "db", nil, "look at `DATABASE`, which must have a backup; may be repeated (default all\nthat are in the repository)")
	flags.Var(&f.maxAge, "max-age", "how old the newest backup of a database may be")
	flags.Var(&f.minSize, "min-size", "how large it must be, as it is stored (default any)")
	flags.Var(&f.maxDrillAge, "max-drill-age", "how old the last drill that passed may be, of every database, also with\n--config; a later one that rejected the backup is an alarm too (default: none is needed)")
	flags.BoolVar(&f.nagios, "nagios", false, "print one line, and end with the exit status of a monitoring plugin")
	return cmd
}

func (f *checkFlags) validate(c *cli) error {
	switch {
	case f.nagios && c.json:
		return errors.New("--nagios and --json exclude each other")
	case f.config != "" && f.repo != "":
		return errors.New("--config names the repositories; leave out --repo")
	case f.config != "" && len(f.dbs) > 0:
		return errors.New("--config names the databases; leave out --db")
	case f.config == "" && len(f.jobs) > 0:
		return errors.New("--job is of a configuration; give --config FILE")
	case f.config == "" && f.repo == "":
		return errors.New("no repository: give --repo, --config, or set PGBERTH_REPO")
	}
	return nil
}

// checked is how the backups of a database are, and what they were held against.
type checked struct {
	*repository.Status
	job     string // or ""
	maxAge  time.Duration
	minSize int64
}

// name is the database, with its job if there is one.
func (s checked) name() string {
	if s.job == "" {
		return printable(s.Series.Name())
	}
	return s.job + "/" + printable(s.Series.Name())
}

func runCheck(cmd *cobra.Command, c *cli, f *checkFlags) ([]checked, error) {
	var statuses []checked
	err := c.withRepo(cmd, &f.repoFlags, func(ctx context.Context, r *repository.Repository, _ progress.Reporter) error {
		var series []repository.Series
		for _, name := range f.dbs {
			series = append(series, repository.Database(name))
		}
		found, err := r.Check(ctx, repository.CheckOptions{Series: series, MaxAge: time.Duration(f.maxAge), MinSize: int64(f.minSize)})
		if err == nil {
			err = f.checkDrills(ctx, r, found)
		}
		for _, s := range found {
			statuses = append(statuses, checked{s, "", time.Duration(f.maxAge), int64(f.minSize)})
		}
		return err
	})
	return statuses, err
}

// checkDrills adds what is wrong with the drills of every database, if any are wanted.
func (f *checkFlags) checkDrills(ctx context.Context, r *repository.Repository, statuses []*repository.Status) error {
	if f.maxDrillAge == 0 {
		return nil
	}
	reports, err := drill.ReadRepository(ctx, r)
	if err != nil {
		return err
	}
	for _, s := range statuses {
		if s.Series.IsOwn() {
			continue
		}
		if problem := drill.Overdue(reports, s.Series.Name(), time.Now(), time.Duration(f.maxDrillAge)); problem != "" {
			s.Problems = append(s.Problems, problem)
		}
	}
	return nil
}

// runCheckConfig checks every job. A repository that cannot be read is a problem of its job, and hides no other.
func runCheckConfig(cmd *cobra.Command, c *cli, f *checkFlags) ([]checked, error) {
	cfg, jobs, err := f.load(cmd, c)
	if err != nil {
		return nil, err
	}
	var statuses []checked
	for _, job := range jobs {
		maxAge, minSize := time.Duration(job.Check.MaxAge), int64(job.Check.MinSize)
		if cmd.Flags().Changed("max-age") {
			maxAge = time.Duration(f.maxAge)
		}
		if cmd.Flags().Changed("min-size") {
			minSize = int64(f.minSize)
		}
		found, err := nightly.Check(cmd.Context(), nightly.Options{Config: cfg, Reporter: progress.Discard}, job,
			nightly.CheckOptions{MaxAge: maxAge, MinSize: minSize, More: f.checkDrills})
		if err != nil {
			if cmd.Context().Err() != nil {
				return nil, err
			}
			found = []*repository.Status{{Series: repository.Database("*"), Problems: []string{err.Error()}}}
		}
		for _, s := range found {
			statuses = append(statuses, checked{s, job.Name, maxAge, minSize})
		}
	}
	return statuses, nil
}

// A checkError says what is wrong with the newest backups.
type checkError struct{ problems []migrate.Problem }

func (e *checkError) Error() string {
	return "the backups are not as they must be: " + count(len(e.problems), "problem")
}

func problemsOf(statuses []checked) error {
	e := &checkError{}
	for _, s := range statuses {
		for _, text := range append(s.Problems, s.Warnings...) {
			e.problems = append(e.problems, migrate.Problem{Object: s.name(), Text: text})
		}
	}
	if len(statuses) == 0 {
		e.problems = []migrate.Problem{{Text: "there are no backups"}}
	}
	if len(e.problems) == 0 {
		return nil
	}
	return e
}

// statusInfo is how the backups of a database are, as it is shown.
type statusInfo struct {
	Job      string        `json:"job,omitempty"`
	Database string        `json:"database"`
	OK       bool          `json:"ok"`
	Newest   *backupInfo   `json:"newest,omitempty"`
	Age      time.Duration `json:"age_ns,omitempty"`
	Problems []string      `json:"problems"`
	Warnings []string      `json:"warnings"`
}

func (c *cli) printStatuses(statuses []checked) error {
	var errs []error
	t := table{align: "lrrll"}
	t.add("DATABASE", "AGE", "STORED", "NEWEST BACKUP", "")
	ok := 0
	for _, s := range statuses {
		info := statusInfo{Job: s.job, Database: s.Series.Name(), OK: s.OK(), Age: s.Age, Problems: orEmpty(s.Problems), Warnings: orEmpty(s.Warnings)}
		age, size, id, verdict := "-", "-", "-", "ok"
		if s.Newest != nil {
			newest := describeBackup(s.Newest)
			info.Newest = &newest
			age, size, id = humanAge(s.Age), human.Bytes(s.Newest.Size), s.Newest.ID
		}
		if info.OK {
			ok++
		} else {
			verdict = "not ok"
		}
		t.add(s.name(), age, size, id, verdict)
		if c.json {
			errs = append(errs, writeJSON(c.stdout, "status", info))
		}
	}
	if c.json {
		errs = append(errs, writeJSON(c.stdout, "check", struct {
			Databases int `json:"databases"`
			OK        int `json:"ok"`
		}{len(statuses), ok}))
		return errors.Join(errs...)
	}
	if len(statuses) == 0 {
		return nil
	}
	return c.print(t.String())
}

// humanAge writes how old something is: 5h02m, or 3d4h.
func humanAge(d time.Duration) string {
	if hours := int(d.Hours()); hours >= 48 {
		return fmt.Sprintf("%dd%dh", hours/24, hours%24)
	}
	return human.Duration(d)
}

// The exit statuses of monitoring plugins.
const (
	nagiosOK = iota
	nagiosWarning
	nagiosCritical
	nagiosUnknown
)

// printNagios prints one line: a verdict, and after a bar the age in seconds and the size in bytes of each newest backup.
func (c *cli) printNagios(statuses []checked, failed error) error {
	code, text := nagiosText(statuses, failed)
	if err := c.print(text + "\n"); err != nil {
		return err
	}
	if code == nagiosOK {
		return nil
	}
	return &reportedError{code}
}

func nagiosText(statuses []checked, failed error) (int, string) {
	if failed != nil {
		return nagiosUnknown, "PGBERTH UNKNOWN - " + plainLine(failed.Error())
	}
	code, reasons, data := nagiosOK, []string(nil), []string(nil)
	for _, s := range statuses {
		reasons = append(append(reasons, s.Problems...), s.Warnings...)
		if len(s.Problems) > 0 {
			code = nagiosCritical
		} else if len(s.Warnings) > 0 {
			code = max(code, nagiosWarning)
		}
		if s.Newest != nil {
			label := string(s.Series)
			if s.job != "" {
				label = s.job + "/" + label
			}
			data = append(data, fmt.Sprintf("'%s_age'=%ds;;%d;0", label, int64(s.Age.Seconds()), int64(s.maxAge.Seconds())),
				fmt.Sprintf("'%s_size'=%dB;;%d:;0", label, s.Newest.Size, s.minSize))
		}
	}
	if len(statuses) == 0 {
		code, reasons = nagiosCritical, []string{"there are no backups"}
	}
	text := strings.Join(reasons, "; ")
	if code == nagiosOK {
		text = "young and large enough: " + count(len(statuses), "newest backup")
	}
	line := "PGBERTH " + [...]string{"OK", "WARNING", "CRITICAL"}[code] + " - " + plainLine(text)
	if len(data) > 0 {
		line += " | " + strings.Join(data, " ")
	}
	return code, line
}

// plainLine keeps a text on its line and out of the performance data.
func plainLine(text string) string { return strings.ReplaceAll(printable(text), "|", "/") }
