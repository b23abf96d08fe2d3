package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

const listLong = `list shows the backups of a repository, oldest first. Only what was published
whole is a backup: one that is being written, or whose run was killed, is not
among them. One that is damaged is, and says so.

Other commands take a backup by DATABASE/ID, by its ID or the beginning of it,
or as latest, oldest, DATABASE/latest or DATABASE/oldest.`

func newListCommand(c *cli) *cobra.Command {
	var (
		repo repoFlags
		dbs  dbFlags
	)
	cmd := &cobra.Command{
		Use:     "list --repo REPOSITORY",
		Short:   "List the backups of a repository",
		Long:    listLong,
		Example: "  pgberth list --repo /var/backups/pg\n  pgberth list --repo /var/backups/pg --db shop --json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := repo.validate(); err != nil {
				return usage(cmd, err)
			}
			return runList(cmd, c, &repo, dbs)
		},
	}
	cmd.Flags().SortFlags = false
	repo.add(cmd.Flags())
	dbs.add(cmd.Flags())
	return cmd
}

func runList(cmd *cobra.Command, c *cli, repo *repoFlags, dbs dbFlags) error {
	var backups []*repository.Backup
	err := c.withRepo(cmd, repo, func(ctx context.Context, r *repository.Repository, reporter progress.Reporter) error {
		series, err := dbs.series(ctx, r)
		if err != nil {
			return err
		}
		if len(series) == 0 {
			series = []repository.Series{""}
		}
		for _, s := range series {
			some, err := r.List(ctx, s)
			if err != nil {
				return err
			}
			backups = append(backups, some...)
		}
		warnOfDamage(reporter, backups)
		return nil
	})
	if err != nil {
		return err
	}
	return c.printBackups(backups)
}

func (c *cli) printBackups(backups []*repository.Backup) error {
	infos := make([]backupInfo, len(backups))
	var total int64
	for i, b := range backups {
		infos[i] = describeBackup(b)
		total += b.Size
	}
	if !c.json {
		return c.print(backupsText(infos, total))
	}
	var errs []error
	for _, info := range infos {
		errs = append(errs, writeJSON(c.stdout, "backup", info))
	}
	errs = append(errs, writeJSON(c.stdout, "backups", struct {
		Backups int   `json:"backups"`
		Stored  int64 `json:"stored_bytes"`
	}{len(infos), total}))
	return errors.Join(errs...)
}

func backupsText(infos []backupInfo, total int64) string {
	if len(infos) == 0 {
		return "no backups\n"
	}
	t := table{align: "llrrrl"}
	t.add("BACKUP", "TIME", "TABLES", "ROWS", "STORED", "TAGS")
	for _, b := range infos {
		tables, rows, note := human.Thousands(b.Tables), human.Thousands(b.Rows), strings.Join(printableAll(b.Tags), ",")
		switch {
		case !b.Good:
			tables, rows, note = "-", "-", "damaged"
		case b.own:
			tables, rows = "-", "-"
		}
		t.add(printable(b.Database)+"/"+b.ID, backupTime(b.Time), tables, rows, human.Bytes(b.Stored), note)
	}
	return t.String() + "\n" + count(len(infos), "backup") + ", " + human.Bytes(total) + "\n"
}
