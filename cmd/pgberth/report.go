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
nothing, so that they can be served, sent and printed. If a report was changed
or removed since it was written, that is said, and the status is 20.`

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
			broken := drill.Broken(reports)
			if c.json {
				err = writeJSON(c.stdout, "report", struct {
					Path   string   `json:"path"`
					Drills int      `json:"drills"`
					Broken []string `json:"broken"`
				}{f.output + "/index.html", len(reports), orEmpty(broken)})
			} else {
				text := fmt.Sprintf("written  %s/index.html, with %s\n", f.output, count(len(reports), "drill"))
				for _, link := range broken {
					text += "broken   " + printable(link) + "\n"
				}
				err = c.print(text)
			}
			if err == nil && len(broken) > 0 {
				err = &reportedError{exitDiffers}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.repoFlags.add(flags)
	flags.StringVarP(&f.output, "output", "o", "", "write the pages into `DIR`")
	return cmd
}
