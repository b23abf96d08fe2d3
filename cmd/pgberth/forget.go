package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

const forgetLong = `forget removes the backups that no rule wants to keep, of every database for
itself. A backup stays if any rule keeps it. Of the hours, days, weeks (from
Monday), months and years that have a backup, the newest backup of each is kept,
as many times as the rule says; a rule with places left keeps the oldest too.
N is a number, or unlimited. An AGE is like 30d or 2y5m7d3h and reaches back from
the newest backup, not from now: backups that stopped do not grow old.

Always kept, and never counted, are backups that are damaged, and those with a
time that has not come yet. The newest good backup of a database is always kept.
Without a rule nothing is removed.

A backup that is named is removed, if it is not the newest good one.`

// policyFlags are the rules of a retention policy.
type policyFlags struct {
	last, hourly, daily, weekly, monthly, yearly                                 keepCount
	within, withinHourly, withinDaily, withinWeekly, withinMonthly, withinYearly keepAge
	tags                                                                         []string
	zone                                                                         timeZone
}

func (f *policyFlags) add(flags *pflag.FlagSet) {
	flags.VarP(&f.last, "keep-last", "l", "keep the newest N backups")
	flags.VarP(&f.hourly, "keep-hourly", "H", "keep the newest backup of each of N hours")
	flags.VarP(&f.daily, "keep-daily", "d", "of N days")
	flags.VarP(&f.weekly, "keep-weekly", "w", "of N weeks")
	flags.VarP(&f.monthly, "keep-monthly", "m", "of N months")
	flags.VarP(&f.yearly, "keep-yearly", "y", "of N years")
	flags.Var(&f.within, "keep-within", "keep all backups of an AGE back from the newest")
	flags.Var(&f.withinHourly, "keep-within-hourly", "keep the newest backup of each hour in an AGE")
	flags.Var(&f.withinDaily, "keep-within-daily", "of each day in an AGE")
	flags.Var(&f.withinWeekly, "keep-within-weekly", "of each week in an AGE")
	flags.Var(&f.withinMonthly, "keep-within-monthly", "of each month in an AGE")
	flags.Var(&f.withinYearly, "keep-within-yearly", "of each year in an AGE")
	flags.StringArrayVar(&f.tags, "keep-tag", nil, "keep backups that have the tag `TAG`; may be repeated")
	flags.Var(&f.zone, "time-zone", "whose calendar counts, such as Europe/Berlin (default the local one)")
}

func (f *policyFlags) policy() repository.Policy {
	return repository.Policy{
		Last: int(f.last), Hourly: int(f.hourly), Daily: int(f.daily), Weekly: int(f.weekly), Monthly: int(f.monthly), Yearly: int(f.yearly),
		Within: f.within.Age, WithinHourly: f.withinHourly.Age, WithinDaily: f.withinDaily.Age,
		WithinWeekly: f.withinWeekly.Age, WithinMonthly: f.withinMonthly.Age, WithinYearly: f.withinYearly.Age,
		Tags: f.tags, Zone: f.zone.Location,
	}
}

type forgetFlags struct {
	repoFlags
	policyFlags
	dbs           dbFlags
	prune, dryRun bool
}

func newForgetCommand(c *cli) *cobra.Command {
	var f forgetFlags
	cmd := &cobra.Command{
		Use:   "forget --repo REPOSITORY --keep-RULE... | BACKUP...",
		Short: "Remove backups that a policy does not keep",
		Long:  forgetLong,
		Example: `  pgberth forget --repo /var/backups/pg --keep-daily 7 --keep-weekly 4 --keep-monthly 12 -n
  pgberth forget --repo /var/backups/pg --db shop --keep-within 30d --prune
  pgberth forget --repo /var/backups/pg shop/20261127T020000Z-a3f9`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.validate(args); err != nil {
				return usage(cmd, err)
			}
			return runForget(cmd, c, &f, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.repoFlags.add(flags)
	f.dbs.add(flags)
	f.policyFlags.add(flags)
	flags.BoolVar(&f.prune, "prune", false, "remove also what runs that were killed have left")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "only show what would be removed")
	f.addLockWait(flags)
	return cmd
}

func (f *forgetFlags) validate(named []string) error {
	empty := f.policy().IsEmpty()
	switch {
	case len(named) > 0 && !empty:
		return errors.New("backups are removed by a policy or by name, not by both: leave out the --keep flags, or the names")
	case len(named) > 0 && len(f.dbs) > 0:
		return errors.New("--db goes with a policy; name backups as DATABASE/ID")
	case len(named) == 0 && empty:
		return errors.New("no policy, so nothing is removed: say what to keep, as in --keep-daily 7 --keep-weekly 4")
	}
	return f.repoFlags.validate()
}

func runForget(cmd *cobra.Command, c *cli, f *forgetFlags, named []string) error {
	var done []*repository.Forgotten
	err := c.withRepo(cmd, &f.repoFlags, func(ctx context.Context, r *repository.Repository, reporter progress.Reporter) error {
		series, err := f.dbs.series(ctx, r)
		if err != nil {
			return err
		}
		done, err = r.Forget(ctx, repository.ForgetOptions{
			Policy: f.policy(), Series: series, Named: named, Prune: f.prune, DryRun: f.dryRun,
		})
		for _, s := range done {
			for _, d := range s.Decisions {
				if d.Keep {
					warnOfDamage(reporter, []*repository.Backup{d.Backup})
				}
			}
		}
		return err
	})
	return errors.Join(c.printForgotten(done, f.dryRun, err == nil), err)
}

// decisionInfo is what was decided about a backup, as it is shown.
type decisionInfo struct {
	backupInfo
	Keep    bool     `json:"keep"`
	Removed bool     `json:"removed"`
	Reasons []string `json:"reasons"`
}

// forgottenInfo sums up.
type forgottenInfo struct {
	DryRun  bool  `json:"dry_run"`
	Kept    int   `json:"kept"`
	Removed int   `json:"removed"`
	Pruned  int   `json:"pruned"`
	Freed   int64 `json:"freed_bytes"`
}

// printForgotten shows what was done, or would be, also before a failure. The sum is only shown of what was done whole.
func (c *cli) printForgotten(done []*repository.Forgotten, dryRun, whole bool) error {
	var (
		decisions []decisionInfo
		pruned    []backupInfo
		sum       = forgottenInfo{DryRun: dryRun}
	)
	for _, f := range done {
		removed := map[string]bool{}
		for _, b := range f.Removed {
			removed[b.ID] = true
		}
		for _, d := range f.Decisions {
			decisions = append(decisions, decisionInfo{backupInfo: describeBackup(d.Backup), Keep: d.Keep,
				Removed: removed[d.Backup.ID] && !dryRun, Reasons: orEmpty(d.Reasons)})
			if d.Keep {
				sum.Kept++
			}
		}
		for _, b := range f.Pruned {
			pruned = append(pruned, describeBackup(b))
		}
		sum.Removed += len(f.Removed)
		sum.Pruned += len(f.Pruned)
		sum.Freed += f.Freed()
	}
	if !c.json {
		return c.print(forgottenText(decisions, pruned, sum, whole))
	}
	var errs []error
	for _, d := range decisions {
		errs = append(errs, writeJSON(c.stdout, "decision", d))
	}
	for _, b := range pruned {
		errs = append(errs, writeJSON(c.stdout, "pruned", b))
	}
	if whole {
		errs = append(errs, writeJSON(c.stdout, "forgotten", sum))
	}
	return errors.Join(errs...)
}

func forgottenText(decisions []decisionInfo, pruned []backupInfo, sum forgottenInfo, whole bool) string {
	removed, would := "removed", ""
	if sum.DryRun {
		removed, would = "remove", "would be "
	}
	t := table{align: "lllrl"}
	for _, d := range decisions {
		verdict := "keep"
		switch {
		case d.Removed || !d.Keep && sum.DryRun:
			verdict = removed
		case !d.Keep:
			verdict = "failed"
		}
		t.add(verdict, printable(d.Database)+"/"+d.ID, backupTime(d.Time), human.Bytes(d.Stored), printable(strings.Join(d.Reasons, ", ")))
	}
	for _, b := range pruned {
		t.add(removed, printable(b.Database)+"/"+b.ID, backupTime(b.Time), human.Bytes(b.Stored), "never finished")
	}
	text := t.String()
	if !whole {
		return text
	}
	if text != "" {
		text += "\n"
	}
	text += count(sum.Removed, "backup") + " " + would + "removed, " + human.Thousands(sum.Kept) + " kept"
	if sum.Pruned > 0 {
		text += ", " + human.Thousands(sum.Pruned) + " unfinished " + would + "removed"
	}
	return text + ", " + human.Bytes(sum.Freed) + " " + would + "freed\n"
}

// A keepCount is a flag's value: how many backups to keep.
type keepCount int

func (n *keepCount) Type() string { return "N" }
func (n *keepCount) want() string { return "a number from 1, or unlimited" }

func (n *keepCount) String() string {
	switch *n {
	case 0:
		return ""
	case repository.Unlimited:
		return "unlimited"
	}
	return strconv.Itoa(int(*n))
}

func (n *keepCount) Set(s string) error {
	if s == "unlimited" {
		*n = repository.Unlimited
		return nil
	}
	v, err := strconv.Atoi(s)
	if err != nil || v < 1 {
		return errors.New("not " + n.want())
	}
	*n = keepCount(v)
	return nil
}

// A keepAge is a flag's value that is a span of the calendar.
type keepAge struct{ repository.Age }

func (a *keepAge) Type() string { return "AGE" }
func (a *keepAge) want() string { return "an age such as 30d or 2y5m7d3h" }

func (a *keepAge) Set(s string) (err error) {
	a.Age, err = repository.ParseAge(s)
	return err
}

// A timeZone is a flag's value; nil is the local one.
type timeZone struct{ *time.Location }

func (z *timeZone) Type() string { return "ZONE" }
func (z *timeZone) want() string { return "the name of a time zone, such as Europe/Berlin or UTC" }

func (z *timeZone) String() string {
	if z.Location == nil {
		return ""
	}
	return z.Location.String()
}

func (z *timeZone) Set(s string) (err error) {
	if s == "" {
		return errors.New("no name")
	}
	z.Location, err = time.LoadLocation(s)
	return err
}
