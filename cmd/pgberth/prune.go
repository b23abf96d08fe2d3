package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

const pruneLong = `prune removes what no manifest makes a backup: the files of runs that were
killed, of uploads that broke off, of a forget that was interrupted. The next
dump of the same database does that too. What a dump that is running has written
is never touched: its database is locked, and the exit status is 11.`

func newPruneCommand(c *cli) *cobra.Command {
	var (
		repo   repoFlags
		dbs    dbFlags
		dryRun bool
	)
	cmd := &cobra.Command{
		Use:   "prune --repo REPOSITORY",
		Short: "Remove what runs that were killed have left",
		Long:  pruneLong,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := repo.validate(); err != nil {
				return usage(cmd, err)
			}
			var done []*repository.Forgotten
			err := c.withRepo(cmd, &repo, func(ctx context.Context, r *repository.Repository, _ progress.Reporter) error {
				series, err := dbs.series(ctx, r)
				if err != nil {
					return err
				}
				done, err = r.Prune(ctx, series, dryRun)
				return err
			})
			return errors.Join(c.printPruned(done, dryRun, err == nil), err)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	repo.add(flags)
	dbs.add(flags)
	flags.BoolVarP(&dryRun, "dry-run", "n", false, "only show what would be removed")
	repo.addLockWait(flags)
	return cmd
}

// prunedInfo sums up.
type prunedInfo struct {
	DryRun bool  `json:"dry_run"`
	Pruned int   `json:"pruned"`
	Freed  int64 `json:"freed_bytes"`
}

func (c *cli) printPruned(done []*repository.Forgotten, dryRun, whole bool) error {
	var pruned []backupInfo
	sum := prunedInfo{DryRun: dryRun}
	for _, f := range done {
		for _, b := range f.Pruned {
			pruned = append(pruned, describeBackup(b))
		}
		sum.Pruned += len(f.Pruned)
		sum.Freed += f.Freed()
	}
	if !c.json {
		return c.print(prunedText(pruned, sum, whole))
	}
	var errs []error
	for _, b := range pruned {
		errs = append(errs, writeJSON(c.stdout, "pruned", b))
	}
	if whole {
		errs = append(errs, writeJSON(c.stdout, "prune", sum))
	}
	return errors.Join(errs...)
}

func prunedText(pruned []backupInfo, sum prunedInfo, whole bool) string {
	t := table{align: "lllr"}
	verdict, would := "removed", ""
	if sum.DryRun {
		verdict, would = "remove", "would be "
	}
	for _, b := range pruned {
		t.add(verdict, printable(b.Database)+"/"+b.ID, backupTime(b.Time), human.Bytes(b.Stored))
	}
	switch {
	case !whole:
		return t.String()
	case sum.Pruned == 0:
		return "nothing to prune\n"
	}
	return t.String() + "\n" + count(sum.Pruned, "unfinished backup") + " " + would + "removed, " + human.Bytes(sum.Freed) + " " + would + "freed\n"
}
