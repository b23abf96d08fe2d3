package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/migrate"
	"github.com/pgberth/pgberth/progress"
)

const migrateLong = `migrate copies a database into a server, by default one in a container.

It checks both sides first and lists everything that stands in the way. Then it
loads a staging database, in parallel streams of one snapshot, checks it, and
gives it its final name in one short step. Until that step the target keeps
what it had under that name; an interrupted run leaves nothing behind.

A target database that is not empty is refused. With --replace it is kept under
another name, NAME_before_YYYYMMDDHHMMSS, which --drop-old drops after the swap.`

type migrateFlags struct {
	endpointFlags
	swapFlags
	createFlags
	omitFlags
	filterFlags
	jobs   streams
	wire   wireFlag
	verify *choice
	format *choice
	fastLoadFlag
	dryRun bool
	pgDump string
}

func newMigrateCommand(c *cli) *cobra.Command {
	f := migrateFlags{verify: newVerifyChoice(), format: newCopyFormatChoice(), wire: newWireFlag()}
	cmd := &cobra.Command{
		Use:   "migrate [--from ENDPOINT] [--to ENDPOINT]",
		Short: "Copy a database into a server, checked, under its final name at the end",
		Long:  migrateLong,
		Example: `  pgberth migrate --from postgres:///shop --to docker://shop-db --dry-run
  pgberth migrate --from postgres:///shop --to docker://shop-db
  pgberth migrate --from postgres://app@10.0.0.5/shop --to docker://:54320/shop_copy --replace`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.swapFlags.validate(); err != nil {
				return usage(cmd, err)
			}
			if err := f.createFlags.validate(f.to); err != nil {
				return usage(cmd, err)
			}
			if f.dryRun && f.wanted() {
				return usage(cmd, errors.New("--dry-run makes no container; leave out the one or the other"))
			}
			return runMigrate(cmd.Context(), cmd, c, f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.endpointFlags.add(flags)
	c.docker.add(flags)
	flags.Var(&f.wire, "wire-compress", wireUsage)
	flags.Var(f.format, "copy-format", "how rows travel between the servers: in binary form where the types of\na table have one that is the same on both (auto), all as text, or all binary,\nwhich is refused if a table has types without such a form")
	flags.VarP(&f.jobs, "jobs", "j", "parallel streams (default by the machine)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "check both sides, print the plan and stop")
	flags.Var(f.verify, "verify", verifyUsage)
	f.fastLoadFlag.add(flags)
	f.swapFlags.add(flags)
	f.createFlags.add(flags)
	f.omitFlags.add(flags)
	f.filterFlags.addPatterns(flags)
	flags.StringVar(&f.pgDump, "pg-dump", "", pgDumpUsage)
	return cmd
}

func runMigrate(ctx context.Context, cmd *cobra.Command, c *cli, f migrateFlags) error {
	var plan *migrate.Plan
	var result *migrate.Result
	err := c.withReporter(func(reporter progress.Reporter) (err error) {
		r := &resolver{cmd: cmd, c: c, project: f.project, reporter: reporter, wire: &f.wire.Compression}
		defer func() { err = r.finish(ctx, err) }()
		defer stopping(ctx, reporter)()
		var created *containerpg.Created
		if f.wanted() {
			if created, f.to, err = f.make(ctx, r); err != nil {
				return err
			}
			defer func() {
				if result == nil {
					err = errors.Join(err, created.Remove(ctx))
				}
			}()
		}
		options, err := f.options(ctx, r)
		if err != nil {
			return err
		}
		if created != nil {
			f.ownPasswords(r, created)
		}
		if f.dryRun {
			plan, err = migrate.DryRun(ctx, options)
		} else {
			result, err = migrate.Run(ctx, options)
		}
		return err
	})
	switch {
	case plan != nil: // also together with what preflight found wrong
		err = errors.Join(err, c.printPlan(plan))
	case result != nil: // also of a migration that was done but for something at its end
		err = errors.Join(err, c.printResult("migrated", result))
	}
	return err
}

// options finds both servers and what there is to work with.
func (f *migrateFlags) options(ctx context.Context, r *resolver) (migrate.Options, error) {
	from, to, err := r.both(ctx, f.endpointFlags)
	if err != nil {
		return migrate.Options{}, err
	}
	clients, err := r.clients(ctx, f.pgDump, from, to)
	if err != nil {
		return migrate.Options{}, err
	}
	options := migrate.Options{
		From: from.Endpoint, To: to.Endpoint, Clients: clients, Resources: r.resources(ctx, to),
		Jobs: int(f.jobs), Replace: f.replace, DropOld: f.dropOld, Disconnect: f.disconnect, InPlace: f.inPlace,
		Verify: migrate.Verify(f.verify.value), CopyFormat: migrate.CopyFormat(f.format.value),
		NoRoles: f.noRoles, NoOwner: f.noOwner, NoPrivileges: f.noPrivileges, NoTablespaces: f.noTablespaces,
		Schemas: f.schemas, ExcludeSchemas: f.excludeSchemas,
		Tables: f.tables, ExcludeTables: f.excludeTables, ExcludeTableData: f.noRows,
		Reporter: r.reporter,
	}
	if options.FastLoad, options.Restart, err = f.fastLoad(r, to); err != nil {
		return migrate.Options{}, err
	}
	if to.server != nil {
		options.FreeDisk = func(ctx context.Context) (int64, error) { return r.engine.FreeDisk(ctx, to.server) }
	}
	return options, nil
}
