package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// repoFlags name a repository.
type repoFlags struct {
	repo     string
	s3       s3Flags
	lockWait duration
}

func (f *repoFlags) add(flags *pflag.FlagSet) {
	flags.StringVarP(&f.repo, "repo", "r", "", "the `REPOSITORY`: a directory, or s3://BUCKET/PREFIX")
	f.s3.add(flags)
}

// addLockWait is for commands that change a repository.
func (f *repoFlags) addLockWait(flags *pflag.FlagSet) {
	flags.Var(&f.lockWait, "lock-wait", "how long to wait for another run that has the database locked\n(default not at all: exit status 11)")
}

func (f *repoFlags) validate() error {
	if f.repo == "" {
		return errors.New("no repository: give --repo, or set PGBERTH_REPO")
	}
	return nil
}

// open opens the repository. create makes a directory that is not there.
func (f *repoFlags) open(ctx context.Context, cmd *cobra.Command, reporter progress.Reporter, create bool) (*repository.Repository, error) {
	return repository.Open(ctx, f.repo, repository.Options{
		Create: create, Command: cmd.CommandPath(), LockWait: time.Duration(f.lockWait), Reporter: reporter, S3: f.s3.options(),
	})
}

// withRepo does something with the repository and a display.
func (c *cli) withRepo(cmd *cobra.Command, f *repoFlags, do func(context.Context, *repository.Repository, progress.Reporter) error) error {
	return c.withReporter(func(reporter progress.Reporter) (err error) {
		ctx := cmd.Context()
		r, err := f.open(ctx, cmd, reporter, false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		return do(ctx, r, reporter)
	})
}

// A dbFlags selects databases; none is all.
type dbFlags []string

func (f *dbFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar((*[]string)(f), "db", nil, "only the backups of `DATABASE`; may be repeated")
}

func (f dbFlags) series(ctx context.Context, r *repository.Repository) ([]repository.Series, error) {
	var series []repository.Series
	for _, name := range f {
		s, err := r.FindSeries(ctx, name)
		if err != nil {
			return nil, err
		}
		series = append(series, s)
	}
	return series, nil
}

// warnOfDamage tells of backups that are not good.
func warnOfDamage(reporter progress.Reporter, backups []*repository.Backup) {
	for _, b := range backups {
		if b.Err != nil {
			reporter.Report(progress.Warning{Object: b.String(), Text: "not a good backup: " + b.Err.Error(),
				Remedy: "pgberth verify tells more; pgberth forget with its name removes it"})
		}
	}
}

// backupInfo is a backup as it is shown.
type backupInfo struct {
	Database string    `json:"database"`
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	Good     bool      `json:"good"`
	Error    string    `json:"error,omitempty"`
	Stored   int64     `json:"stored_bytes"`
	Files    int       `json:"files"`
	Tables   int       `json:"tables"`
	Rows     int64     `json:"rows"`
	Raw      int64     `json:"raw_bytes"`
	Server   string    `json:"server_version,omitempty"`
	Host     string    `json:"host,omitempty"`
	Tags     []string  `json:"tags,omitempty"`

	Encrypted bool `json:"encrypted,omitempty"`

	own bool // not of a database
}

func describeBackup(b *repository.Backup) backupInfo {
	info := backupInfo{Database: b.Series.Name(), ID: b.ID, Time: b.Time, Good: b.Good(), Stored: b.Size, Files: len(b.Files), own: b.Series.IsOwn()}
	if b.Err != nil {
		info.Error = b.Err.Error()
	}
	if m := b.Manifest; m != nil {
		info.Tables, info.Rows, info.Raw = m.Totals.Tables, m.Totals.Rows, m.Totals.Raw
		info.Server, info.Host, info.Tags, info.Encrypted = m.Server.Version, m.Backup.Host, m.Backup.Tags, m.Encrypted()
	}
	return info
}

// backupTime is the start of a backup by the local clock.
func backupTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04 MST") }

// A duration is a flag's value: 90s, 30m, 26h or 7d, or several in a row.
type duration time.Duration

func (d *duration) Type() string { return "DURATION" }
func (d *duration) want() string { return "a duration such as 90s, 30m, 26h or 7d" }

func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *duration) Set(s string) error {
	v, err := human.ParseDuration(s)
	*d = duration(v)
	return err
}

// A byteSize is a flag's value: 500kB, 10MB, 2GB in powers of 1000, or KiB, MiB, GiB in powers of 1024.
type byteSize int64

func (n *byteSize) Type() string { return "SIZE" }
func (n *byteSize) want() string { return "a size such as 500kB, 10MB or 2GiB" }

func (n *byteSize) String() string {
	if *n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}

func (n *byteSize) Set(s string) error {
	v, err := human.ParseSize(s)
	*n = byteSize(v)
	return err
}
