package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/backup"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

const copyLong = `copy brings backups into another repository: all that it does not have, or those
that are named. They keep their IDs, and their encryption: no key is needed. Each
is held against its checksums as it is read, and is listed there when all of it
has arrived. What is there already is left alone, so that copy can be run again.

A backup that is damaged is not copied; the others are, and the status is 20.`

func newCopyCommand(c *cli) *cobra.Command {
	var repo, to repoFlags
	cmd := &cobra.Command{
		Use:   "copy [BACKUP...] --repo REPOSITORY --to-repo REPOSITORY",
		Short: "Copy backups into another repository",
		Long:  copyLong,
		Example: `  pgberth copy --repo /var/backups/pg --to-repo s3://offsite/pg
  pgberth copy shop/latest --repo /var/backups/pg --to-repo /mnt/usb/pg`,
		RunE: func(cmd *cobra.Command, refs []string) error {
			err := repo.validate()
			if err == nil && to.repo == "" {
				err = errors.New("no target: give --to-repo")
			}
			if err != nil {
				return usage(cmd, err)
			}
			to.s3, to.lockWait = to.s3.or(repo.s3), repo.lockWait
			return runCopy(cmd, c, &repo, &to, refs)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	repo.add(flags)
	flags.StringVar(&to.repo, "to-repo", "", "the `REPOSITORY` to copy into")
	to.s3.addTarget(flags)
	repo.addLockWait(flags)
	return cmd
}

func runCopy(cmd *cobra.Command, c *cli, repo, to *repoFlags, refs []string) error {
	var result *backup.CopyResult
	err := c.withRepo(cmd, repo, func(ctx context.Context, from *repository.Repository, reporter progress.Reporter) (err error) {
		target, err := to.open(ctx, cmd, reporter, true)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, target.Close()) }()
		options := backup.CopyOptions{From: from, To: target, Reporter: reporter}
		for _, ref := range refs {
			b, err := from.Find(ctx, ref)
			if err != nil {
				return err
			}
			options.Backups = append(options.Backups, b)
		}
		result, err = backup.Copy(ctx, options)
		if len(options.Backups) == 1 && isDamage(err) {
			err = besides(ctx, from, options.Backups[0], err) // the error names it
		}
		return err
	})
	if result != nil {
		err = errors.Join(err, c.printCopy(result))
	}
	return err
}

func (c *cli) printCopy(r *backup.CopyResult) error {
	if c.json {
		return writeJSON(c.stdout, "result", r)
	}
	return c.print(copyText(r))
}

func copyText(r *backup.CopyResult) string {
	var b strings.Builder
	for _, name := range r.Copied {
		b.WriteString("copied  " + printable(name) + "\n")
	}
	b.WriteString(count(len(r.Copied), "backup") + " copied, " + human.Bytes(r.Bytes) + "; " + human.Thousands(len(r.Present)) + " were there\n")
	return b.String()
}
