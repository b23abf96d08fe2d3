package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/migrate"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

const restoreLong = `restore fills a database from an archive: one of pgberth dump, or whatever stock
pg_dump wrote as a directory, a custom or a tar file. PATH is the archive, or -
for standard input. With --repo it is a backup: DATABASE/ID, an ID or the
beginning of one, latest, or DATABASE/latest; what begins with / or . is a path.

Every byte of the archive is checked before anything of the target is touched. A
pipe cannot be read twice: from one, only the staging database protects what is
there. Then it goes on as in a migration: a staging database is loaded, checked,
and given its final name in one short step.

With --in-place the database must exist. With --section, --schema or --table too
it may hold other things: what is selected is added to it, as pg_restore does.`

type restoreFlags struct {
	fastLoadFlag
	swapFlags
	createFlags
	omitFlags
	filterFlags
	inputFlags
	path, to, project string
	createName        string
	sections          []string
	jobs              streams
	wire              wireFlag
	verify            *choice
	allowDowngrade    bool
}

func newRestoreCommand(c *cli) *cobra.Command {
	f := restoreFlags{verify: newVerifyChoice(), wire: newWireFlag()}
	cmd := &cobra.Command{
		Use:   "restore PATH|BACKUP [--to ENDPOINT]",
		Short: "Fill a database from an archive of pgberth or of stock pg_dump",
		Long:  restoreLong,
		Example: `  pgberth restore /var/backups/shop --to docker://shop-db
  pgberth restore shop.dump --to docker://:54320/shop_copy --replace
  pgberth restore shop.dump --to postgres:///shop --in-place --section data --table games
  ssh backup cat shop.dump | pgberth restore - --to docker://shop-db
  pgberth restore shop/latest --repo /var/backups/pg --to docker://shop-db --replace`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.path = args[0]
			if err := f.validate(); err != nil {
				return usage(cmd, err)
			}
			return runRestore(cmd.Context(), cmd, c, f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.to, "to", "", "target `ENDPOINT` (default the one running Postgres container;\nits database defaults to the archive's name)")
	flags.StringVar(&f.project, "project", "", projectUsage)
	c.docker.add(flags)
	flags.Var(&f.wire, "wire-compress", wireUsage)
	f.inputFlags.add(flags)
	flags.StringVar(&f.createName, "create-name", "", "give the database this `NAME`, whatever the archive or the endpoint say")
	flags.VarP(&f.jobs, "jobs", "j", "parallel streams (default by the machine)")
	flags.Var(f.verify, "verify", verifyUsage)
	f.fastLoadFlag.add(flags)
	f.swapFlags.add(flags)
	f.createFlags.add(flags)
	flags.BoolVar(&f.allowDowngrade, "allow-downgrade", false, "restore the archive of a newer server into an older one, and report every\nstatement that it refuses")
	f.omitFlags.add(flags)
	flags.StringArrayVar(&f.sections, "section", nil, "only this `SECTION`: pre-data, data or post-data; may be repeated")
	f.filterFlags.addNames(flags)
	return cmd
}

// onePath takes one argument, which is not repeated.
func onePath(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(cmd, errors.New(cmd.Name()+" takes one argument: the path of an archive, or with --repo a backup"))
	}
	return nil
}

var sections = map[string]archive.Section{
	"pre-data": archive.SectionPreData, "data": archive.SectionData, "post-data": archive.SectionPostData,
}

func (f *restoreFlags) validate() error {
	for _, s := range f.sections {
		if sections[s] == 0 {
			return errors.New("--section: invalid value; want pre-data, data or post-data")
		}
	}
	switch {
	case f.createName != "" && f.inPlace:
		return errors.New("--create-name names a new database and --in-place loads into an existing one; give one of them")
	case len(f.sections) > 0 && !slices.Contains(f.sections, "pre-data") && !f.inPlace:
		return errors.New("--section without pre-data fills tables that are there: give --in-place too")
	}
	if err := f.createFlags.validate(f.to); err != nil {
		return err
	}
	return f.swapFlags.validate()
}

func runRestore(ctx context.Context, cmd *cobra.Command, c *cli, f restoreFlags) error {
	var result *migrate.Result
	err := c.withReporter(func(reporter progress.Reporter) (failure error) {
		start := time.Now()
		r := &resolver{cmd: cmd, c: c, project: f.project, reporter: reporter, wire: &f.wire.Compression}
		defer func() { failure = r.finish(ctx, failure) }()
		if err := r.checkName("--create-name", f.createName); err != nil {
			return err
		}
		target, err := r.parse("--to", f.to)
		if err != nil {
			return err
		}
		in, name, err := f.openInput(ctx, cmd, c, f.path, reporter)
		if err != nil {
			return err
		}
		defer func() { failure = errors.Join(failure, in.Close()) }()
		defer stopping(ctx, reporter)()
		var created *containerpg.Created
		if f.wanted() {
			var endpoint string
			if created, endpoint, err = f.make(ctx, r); err != nil {
				return err
			}
			defer func() {
				if result == nil {
					failure = errors.Join(failure, created.Remove(ctx))
				}
			}()
			if target, err = r.parse("--to", endpoint); err != nil {
				return err
			}
		}
		to, err := r.resolve(ctx, "target", target, in.database())
		if err != nil {
			return err
		}
		if created != nil {
			f.ownPasswords(r, created)
		}
		options := f.options(r, to)
		options.Resources = r.resources(ctx, to)
		if options.FastLoad, options.Restart, err = f.fastLoad(r, to); err != nil {
			return err
		}
		done, err := in.restore(ctx, options)
		if done != nil { // also of a restore that was done but for something
			result = restored(name, options, done, time.Since(start))
		}
		return err
	})
	if result != nil {
		err = errors.Join(err, c.printResult("restored", result))
	}
	return err
}

func (f *restoreFlags) options(r *resolver, to place) restore.ArchiveOptions {
	if f.createName != "" {
		to.Endpoint = to.WithDatabase(f.createName)
	}
	options := restore.ArchiveOptions{
		To: to.Endpoint, Jobs: int(f.jobs), Replace: f.replace, DropOld: f.dropOld, Disconnect: f.disconnect, InPlace: f.inPlace,
		NoRoles: f.noRoles, AllowDowngrade: f.allowDowngrade,
		VerifyNone: f.verify.value == string(migrate.VerifyNone), VerifyData: f.verify.value == string(migrate.VerifyData),
		Selection: f.selection(), Archive: f.archiveOptions(), Reporter: r.reporter,
	}
	for _, s := range f.sections {
		options.Selection.Sections = append(options.Selection.Sections, sections[s])
	}
	if to.server != nil {
		options.FreeDisk = func(ctx context.Context) (int64, error) { return r.engine.FreeDisk(ctx, to.server) }
	}
	return options
}

// restored is a restore in the words of a migration.
func restored(path string, options restore.ArchiveOptions, done *restore.Result, elapsed time.Duration) *migrate.Result {
	r := &migrate.Result{
		From: path, To: options.To.Name, ToVia: options.To.Via, Objects: done.Objects, LargeObjects: done.LargeObjects, Roles: done.RolesCreated,
		Verified: migrate.VerifyRows, OldDatabase: done.OldDatabase, OldDropped: done.OldDropped, Elapsed: elapsed,
	}
	switch {
	case options.VerifyNone:
		r.Verified = migrate.VerifyNone
	case options.VerifyData:
		r.Verified = migrate.VerifyData
	}
	for _, t := range done.Tables {
		r.Tables = append(r.Tables, migrate.Table{Name: t.Name, Bytes: t.Bytes, Rows: t.Rows})
		r.Rows += t.Rows
		r.Bytes += t.Bytes
	}
	for _, p := range done.Phases {
		r.Phases = append(r.Phases, migrate.Phase{Name: p.Name, Elapsed: p.Elapsed})
	}
	return r
}

// plainSQL turns the refusal of a plain SQL dump into one of usage: the file is
// as it should be, only this is not what reads it.
func plainSQL(cmd *cobra.Command, err error) error {
	var plain *archive.PlainSQLError
	if !errors.As(err, &plain) {
		return err
	}
	return &usageError{err: errors.New(strings.TrimSpace(plain.Error())), help: ""}
}
