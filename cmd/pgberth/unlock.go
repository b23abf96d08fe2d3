package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

const unlockLong = `unlock removes the locks of runs that died where that cannot be seen: on another
host that uses the same bucket. Such a lock would run out by itself; unlock is for
those who cannot wait. Make sure first that the run named there is dead: two runs
at once may remove each other's files.

The locks of a directory are the operating system's and end with their process,
however it ends. There is nothing to remove, and one that is held is answered
with exit status 11.`

func newUnlockCommand(c *cli) *cobra.Command {
	var (
		repo repoFlags
		dbs  dbFlags
	)
	cmd := &cobra.Command{
		Use:   "unlock --repo REPOSITORY",
		Short: "Remove the locks of runs that died",
		Long:  unlockLong,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := repo.validate(); err != nil {
				return usage(cmd, err)
			}
			var removed []repository.Held
			err := c.withRepo(cmd, &repo, func(ctx context.Context, r *repository.Repository, _ progress.Reporter) error {
				var series []repository.Series
				for _, name := range dbs {
					series = append(series, lockedSeries(name))
				}
				var err error
				removed, err = r.Unlock(ctx, series)
				return err
			})
			return errors.Join(c.printUnlocked(removed, err == nil), err)
		},
	}
	cmd.Flags().SortFlags = false
	repo.add(cmd.Flags())
	dbs.add(cmd.Flags())
	return cmd
}

// lockedSeries is the series of a name. A database may be locked before it has a backup.
func lockedSeries(name string) repository.Series {
	if s := repository.Series(name); s.IsOwn() {
		return s
	}
	return repository.Database(name)
}

// lockInfo is a lock that was removed.
type lockInfo struct {
	Database string           `json:"database"`
	Owner    repository.Owner `json:"owner"`
}

func (c *cli) printUnlocked(removed []repository.Held, whole bool) error {
	var errs []error
	for _, h := range removed {
		info := lockInfo{Database: repository.Series(h.Name).Name(), Owner: h.Owner}
		if c.json {
			errs = append(errs, writeJSON(c.stdout, "unlocked", info))
			continue
		}
		errs = append(errs, c.print("removed the lock of "+printable(info.Database)+", of "+printable(h.Owner.Command)+" on "+
			printable(h.Owner.Host)+" since "+h.Owner.Started.UTC().Format(time.RFC3339)+"\n"))
	}
	if len(removed) == 0 && whole && !c.json {
		errs = append(errs, c.print("nothing is locked\n"))
	}
	if whole && c.json {
		errs = append(errs, writeJSON(c.stdout, "unlock", struct {
			Removed int `json:"removed"`
		}{len(removed)}))
	}
	return errors.Join(errs...)
}
