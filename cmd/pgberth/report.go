package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

const reportLong = `report writes pages of what a repository keeps: an index of all databases, drills
and backups, and the page of every drill. They hold all they show and load
nothing, so that they can be served, sent and printed.`

func newReportCommand(c *cli) *cobra.Command {
	var f struct {
		repoFlags
		output string
	}
	cmd := &cobra.Command{
		Use:     "report --repo REPOSITORY --output DIR",
		Short:   "Write pages of all backups and drills in a repository",
		Long:    reportLong,
		Example: `  pgberth report --repo /var/backups/pg --output /var/www/backups`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := f.validate()
			if err == nil && f.output == "" {
				err = errors.New("no --output: name the directory for the pages")
			}
			if err != nil {
				return usage(cmd, err)
			}
			var reports []*drill.Stored
			err = c.withRepo(cmd, &f.repoFlags, func(ctx context.Context, r *repository.Repository, _ progress.Reporter) (err error) {
				reports, err = drill.WriteSite(ctx, f.output, r, time.Now())
				return err
			})
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.stdout, "report", struct {
					Path   string `json:"path"`
					Drills int    `json:"drills"`
				}{f.output + "/index.html", len(reports)})
			}
			return c.print(fmt.Sprintf("written  %s/index.html, with %s\n", f.output, count(len(reports), "drill")))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.repoFlags.add(flags)
	flags.StringVarP(&f.output, "output", "o", "", "write the pages into `DIR`")
	return cmd
}
