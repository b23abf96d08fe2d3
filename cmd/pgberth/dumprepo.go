package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/backup"
	"github.com/pgberth/pgberth/dump"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
)

// backupFlags are those of a dump into a repository.
type backupFlags struct {
	repo    repoFlags
	encrypt recipientFlags
	tags    []string
	globals bool
	check   *choice
	maxFall percentage

	stall, total duration
}

func newBackupFlags() backupFlags {
	return backupFlags{maxFall: 50,
		check: newChoice(string(backup.CheckFiles), string(backup.CheckSizes), string(backup.CheckFiles), string(backup.CheckData))}
}

func (f *backupFlags) add(flags *pflag.FlagSet) {
	f.repo.add(flags)
	flags.StringArrayVar(&f.tags, "tag", nil, "give the backup a `TAG`; may be repeated")
	f.encrypt.add(flags)
	flags.BoolVar(&f.globals, "globals", false, "back up the server's roles, memberships and tablespaces, not a database")
	flags.Var(f.check, "check", "how the backup is read back before it is listed: the sizes of its files,\nall bytes of the files, or the data in them too")
	flags.Var(&f.maxFall, "max-fall", "warn, and end with status 3, if there are fewer rows or bytes by more than\nPERCENT than in the backup before, or no tables; 0 does not compare")
	f.repo.addLockWait(flags)
	flags.Var(&f.stall, "stall-limit", "end the run if nothing moves for this long (default no limit)")
	flags.Var(&f.total, "time-limit", "end the run if it takes longer (default no limit)")
}

// given are the flags of f that were given on the command line, and mean nothing without a repository.
func (f *backupFlags) given(cmd *cobra.Command) []string {
	var given []string
	for _, name := range []string{"repo", "tag", "encrypt-to", "encrypt-to-file", "globals", "check", "max-fall", "lock-wait", "stall-limit", "time-limit"} {
		if cmd.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	return given
}

// intoRepo reports whether a dump goes into a repository. What was given on the command line comes before the environment.
func (f *dumpFlags) intoRepo(cmd *cobra.Command) (bool, error) {
	given := f.backup.given(cmd)
	switch {
	case f.file == "" || f.backup.repo.repo != "" && cmd.Flags().Changed("repo") && !cmd.Flags().Changed("file"):
		if f.backup.repo.repo == "" && len(given) > 0 {
			return false, fmt.Errorf("%s is for a dump into a repository: give --repo", given[0])
		}
		return f.backup.repo.repo != "", nil
	case len(given) > 0:
		return false, fmt.Errorf("--file and %s exclude each other: a dump goes to a path or into a repository", given[0])
	}
	return false, nil
}

func runBackup(ctx context.Context, cmd *cobra.Command, c *cli, f dumpFlags) error {
	recipients, err := f.backup.encrypt.recipients()
	if err != nil {
		return usage(cmd, err)
	}
	var result *backup.Result
	var from string
	err = c.withReporter(func(reporter progress.Reporter) (err error) {
		source, done, err := f.source(ctx, cmd, c, reporter)
		if err != nil {
			return err
		}
		defer func() { err = done(err) }()
		from = source.From.Name
		repo, err := f.backup.repo.open(ctx, cmd, reporter, true)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, repo.Close()) }()
		options := backup.Options{
			Dump: source, Repository: repo, Tags: f.backup.tags, Recipients: recipients, Check: backup.Check(f.backup.check.value),
			Limits:  backup.Limits{Stall: time.Duration(f.backup.stall), Total: time.Duration(f.backup.total)},
			MaxFall: float64(f.backup.maxFall) / 100,
		}
		if f.backup.globals {
			result, err = backup.Globals(ctx, options)
		} else {
			result, err = backup.Run(ctx, options)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := c.printBackup(from, result); err != nil {
		return err
	}
	if len(result.Warnings) > 0 {
		return &reportedError{exitPartly}
	}
	return nil
}

func (c *cli) printBackup(from string, r *backup.Result) error {
	if !c.json {
		return c.print(backupText(from, r))
	}
	if r.Dump != nil {
		r.Dump.Tables = orEmpty(r.Dump.Tables)
	}
	return writeJSON(c.stdout, "result", struct {
		From string `json:"from"`
		*backup.Result
	}{from, r})
}

// backupText is the summary of a backup.
func backupText(from string, r *backup.Result) string {
	t := table{align: "ll"}
	t.add("backup", printable(r.Name()))
	t.add("of", from)
	t.add("in", printable(r.Repository))
	if len(r.Tags) > 0 {
		t.add("tags", strings.Join(printableAll(r.Tags), ", "))
	}
	if r.Dump != nil {
		dumpedText(&t, r.Dump)
	}
	t.add("files", count(r.Files, "file")+", "+human.Bytes(r.Size))
	for i, key := range r.Recipients {
		label := ""
		if i == 0 {
			label = "encrypted to"
		}
		t.add(label, archive.ShortKey(key))
	}
	t.add("checked", map[backup.Check]string{
		backup.CheckSizes: "the files have the sizes that were written; their contents were not read again",
		backup.CheckFiles: "the files were read again; they are those that were written",
		backup.CheckData:  "the files were read again; their rows are those that were written",
	}[r.Checked])
	raw := int64(0)
	if r.Dump != nil {
		raw = r.Dump.Raw
	}
	t.add("time", elapsedText(raw, r.Elapsed))
	return t.String()
}

// elapsedText is a time, with a rate if bytes were moved.
func elapsedText(bytes int64, elapsed time.Duration) string {
	if bytes == 0 {
		return human.Duration(elapsed)
	}
	return human.Duration(elapsed) + " (" + human.Rate(bytes, elapsed) + ")"
}

// dumpedText adds what was dumped.
func dumpedText(t *table, r *dump.Result) {
	t.add("layout", fmt.Sprintf("%s, %s, for pg_restore %d and later", r.Layout, r.Compression, r.PgRestore))
	t.add("objects", mainObjects(r.Objects))
	t.add("rows", count(r.Rows, "row")+" in "+count(len(r.Tables), "table")+", "+human.Bytes(r.Raw)+", stored in "+human.Bytes(r.Stored))
	if r.LargeObjects > 0 {
		t.add("large objects", human.Thousands(r.LargeObjects))
	}
}

// A percentage is a flag's value from 0 to 100.
type percentage float64

func (p *percentage) Type() string   { return "PERCENT" }
func (p *percentage) want() string   { return "a number from 0 to 100" }
func (p *percentage) String() string { return strconv.FormatFloat(float64(*p), 'g', -1, 64) }

func (p *percentage) Set(s string) error {
	v, err := human.ParsePercent(s)
	*p = percentage(v)
	return err
}
