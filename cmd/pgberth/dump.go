package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/progress"
)

const dumpLong = `dump writes an archive of a database, in parallel streams of one snapshot. It is
an archive of pg_dump's own format, which stock pg_restore restores: a directory,
or a file in custom format.

Nothing is at PATH before the archive is whole and on the disk. A directory holds
a manifest, pgberth.json, besides: with row counts, checksums, roles and settings,
which pgberth verify and pgberth restore hold the archive against.

With --file - a custom archive goes to standard output, and what else there is
to say to standard error.

With --repo the archive becomes a backup in a repository, DATABASE/ID, which is
listed when it was read back and found whole. pgberth list shows them. With
--encrypt-to every file of it is encrypted by age before it is written.`

type dumpFlags struct {
	filterFlags
	from, project string
	file          string
	format        *choice
	jobs          streams
	wire          wireFlag
	compress      codec
	pgRestore     *choice
	pgDump        string
	lockWait      duration
	backup        backupFlags
}

func newDumpCommand(c *cli) *cobra.Command {
	f := dumpFlags{
		wire:      newWireFlag(),
		format:    newChoice("", string(archive.KindDirectory), string(archive.KindCustom)),
		pgRestore: newChoice("", "13", "14", "15", "16", "17", "18"),
		backup:    newBackupFlags(),
	}
	cmd := &cobra.Command{
		Use:   "dump [--from ENDPOINT] --file PATH | --repo REPOSITORY",
		Short: "Write an archive of a database, which stock pg_restore reads too",
		Long:  dumpLong,
		Example: `  pgberth dump --from docker://shop-db --file /var/backups/shop
  pgberth dump --from postgres:///shop --file shop.dump --format custom
  pgberth dump --from docker://shop-db --file - | ssh backup 'cat > shop.dump'
  pgberth dump --from docker://shop-db --repo /var/backups/pg --encrypt-to age1...`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			intoRepo, err := f.intoRepo(cmd)
			if err == nil {
				err = f.validate(c, intoRepo)
			}
			if err != nil {
				return usage(cmd, err)
			}
			if intoRepo {
				return runBackup(cmd.Context(), cmd, c, f)
			}
			return runDump(cmd.Context(), cmd, c, f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.from, "from", "", fromUsage)
	flags.StringVar(&f.project, "project", "", projectUsage)
	c.docker.add(flags)
	flags.Var(&f.wire, "wire-compress", wireUsage)
	flags.StringVarP(&f.file, "file", "f", "", "where the archive goes: a `PATH` where nothing is yet, or - for standard\noutput")
	f.backup.add(flags)
	flags.Var(f.format, "format", "directory, which pg_restore -j and pgberth read in parallel, or custom, a\nsingle file (default directory)")
	flags.VarP(&f.jobs, "jobs", "j", "parallel streams (default by the machine)")
	flags.Var(&f.compress, "compress", "zstd, gzip or none, with a level if need be, such as zstd:6 (default zstd\nwhere the pg_restore that is to read the archive knows it, else gzip)")
	flags.Var(f.pgRestore, "pg-restore", "the oldest version of pg_restore that is to read the archive (default\nthe source's version)")
	f.filterFlags.addPatterns(flags)
	flags.Var(&f.lockWait, "lock-wait-timeout", "how long to wait for a table that another session has locked (default 1m)")
	flags.StringVar(&f.pgDump, "pg-dump", "", pgDumpUsage)
	return cmd
}

// toStdout reports whether the archive goes to standard output.
func (f *dumpFlags) toStdout() bool { return f.file == "-" }

func (f *dumpFlags) validate(c *cli, intoRepo bool) error {
	switch {
	case intoRepo && f.format.value == string(archive.KindCustom):
		return errors.New("--format custom: in a repository archives are directories")
	case intoRepo:
	case f.file == "":
		return errors.New("no target: give --file PATH, or --file - for standard output, or --repo for a repository")
	case f.toStdout() && f.format.value == string(archive.KindDirectory):
		return errors.New("--format directory cannot go to standard output; leave it out for a custom archive, or give --file PATH")
	case f.toStdout() && isTerminal(c.stdout):
		return errors.New("--file - would write the archive to a terminal; redirect standard output")
	}
	if major := f.major(); major != 0 && f.compress.Codec != nil && f.compress.Compression == archive.CompressionZstd && archive.LayoutFor(major) < 15 {
		return fmt.Errorf("--compress zstd: pg_restore %d cannot read it; use gzip, or --pg-restore 16 or later", major)
	}
	return nil
}

// major is the version given with --pg-restore, or 0.
func (f *dumpFlags) major() int {
	n, _ := strconv.Atoi(f.pgRestore.value) // empty, or one of the choices
	return n
}

func runDump(ctx context.Context, cmd *cobra.Command, c *cli, f dumpFlags) error {
	stdout := c.stdout
	if f.toStdout() {
		c.stdout = c.stderr
	}
	var result *dump.Result
	err := c.withReporter(func(reporter progress.Reporter) (err error) {
		options, done, err := f.source(ctx, cmd, c, reporter)
		if err != nil {
			return err
		}
		defer func() { err = done(err) }()
		options.Path, options.Custom = f.file, f.format.value == string(archive.KindCustom)
		if f.toStdout() {
			options.Path, options.Output = "", stdout
		}
		result, err = dump.Run(ctx, options)
		return err
	})
	if err != nil {
		return err
	}
	return c.printDump(result)
}

// source is what is dumped and how. done is to be called after the dump, with its error.
func (f *dumpFlags) source(ctx context.Context, cmd *cobra.Command, c *cli, reporter progress.Reporter) (_ dump.Options, done func(error) error, err error) {
	options := dump.Options{
		Codec: f.compress.Codec, PgRestore: f.major(), Jobs: int(f.jobs), Filter: f.dumpFilter(),
		LockWait: time.Duration(f.lockWait), Tool: "pgberth " + version(), Reporter: reporter,
	}
	r := &resolver{cmd: cmd, c: c, project: f.project, reporter: reporter, wire: &f.wire.Compression}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	ref, err := r.source(f.from)
	if err != nil {
		return options, nil, err
	}
	from, err := r.resolve(ctx, "source", ref, "")
	if err != nil {
		return options, nil, err
	}
	options.From = from.Endpoint
	options.Clients, err = r.clients(ctx, f.pgDump, from, place{})
	return options, func(err error) error { return r.finish(ctx, err) }, err
}

func (c *cli) printDump(r *dump.Result) error {
	if c.json {
		r.Tables = orEmpty(r.Tables)
		return writeJSON(c.stdout, "result", r)
	}
	return c.print(dumpText(r))
}

// dumpText is the summary of a dump.
func dumpText(r *dump.Result) string {
	path := r.Path
	if path == "" {
		path = "standard output"
	}
	t := table{align: "ll"}
	t.add("dumped", r.From+viaNote(r.FromVia))
	t.add("to", printable(path))
	dumpedText(&t, r)
	t.add("time", elapsedText(r.Raw, r.Elapsed))
	return t.String()
}

// A codec is a flag's value that is a compression with its level; nil leaves
// it to the program.
type codec struct{ *archive.Codec }

func (c *codec) Type() string { return "METHOD[:LEVEL]" }

func (c *codec) String() string {
	if c.Codec == nil {
		return ""
	}
	return c.Codec.String()
}

func (c *codec) Set(s string) error {
	parsed, err := archive.ParseCodec(strings.TrimSpace(s))
	if err != nil {
		return err
	}
	c.Codec = &parsed
	return nil
}

func (c *codec) want() string { return "none, gzip, gzip:1 to gzip:9, zstd, or zstd:1 to zstd:22" }
