package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
)

const verifyLong = `verify reads every byte of an archive: of pgberth dump, or of stock pg_dump as a
directory, a custom or a tar file. All that is compressed must decompress, and
the rows of every table must be complete; with a manifest, every file must have
its size and checksum, and every table its number of rows and their hash.

With --repo it reads the files of a backup, DATABASE/ID, latest, or
DATABASE/latest, or of all backups if none is named, and holds them against their
manifests. That needs no key where they are encrypted. With --read-data it also
decrypts and decompresses them, and counts and hashes the rows.

The exit status is 0 if the archive is whole. It is 20 if not, and the message
names the file and the place in it.`

func newVerifyCommand(c *cli) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify PATH | [BACKUP] --repo REPOSITORY",
		Short: "Read every byte of an archive, or of backups, and say whether they are whole",
		Long:  verifyLong,
		Example: `  pgberth verify /var/backups/shop
  pgberth verify --repo /var/backups/pg
  pgberth verify shop/latest --repo /var/backups/pg --read-data --identity key.txt`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return onePath(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && f.repo.repo == "":
				return onePath(cmd, args)
			case len(args) == 0:
				return runVerifyBackups(cmd, c, &f, "")
			case !f.isPath(args[0]):
				return runVerifyBackups(cmd, c, &f, args[0])
			}
			return runVerify(cmd.Context(), cmd, c, &f, args[0])
		},
	}
	cmd.Flags().SortFlags = false
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&f.readData, "read-data", false, "with --repo, decrypt and decompress too, and count and hash the rows")
	return cmd
}

type verifyFlags struct {
	inputFlags
	readData bool
}

// verified is an archive that was found whole.
type verified struct {
	Path         string        `json:"path"`
	Format       archive.Kind  `json:"format"`
	Manifest     bool          `json:"manifest"` // there is one, and all is as it says
	Tables       int           `json:"tables"`
	Rows         int64         `json:"rows"`
	LargeObjects int64         `json:"large_objects"`
	Bytes        int64         `json:"bytes"`
	Elapsed      time.Duration `json:"elapsed_ns"`
}

func runVerify(ctx context.Context, cmd *cobra.Command, c *cli, f *verifyFlags, path string) error {
	start := time.Now()
	var v verified
	err := c.withReporter(func(reporter progress.Reporter) (err error) {
		a, err := f.open(ctx, cmd, path, reporter)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		reporter.Report(progress.PhaseStart{Phase: progress.Verify})
		read, err := archive.Verify(ctx, a.Archive)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		v = verified{Path: path, Format: a.Kind(), Manifest: a.Manifest() != nil, Tables: read.Tables, Rows: read.Rows,
			LargeObjects: read.LargeObjects, Bytes: read.Bytes, Elapsed: time.Since(start)}
		reporter.Report(progress.PhaseEnd{Phase: progress.Verify, Units: v.Tables, Bytes: v.Bytes, Elapsed: v.Elapsed})
		return nil
	})
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, "verified", v)
	}
	return c.print(verifiedText(&v))
}

// verifiedText claims what was checked and no more.
func verifiedText(v *verified) string {
	t := table{align: "ll"}
	t.add("whole", printable(v.Path))
	read := count(v.Rows, "row") + " in " + count(v.Tables, "table")
	if v.LargeObjects > 0 {
		read += ", " + count(v.LargeObjects, "large object")
	}
	t.add("read", read+", "+human.Bytes(v.Bytes)+" in "+human.Duration(v.Elapsed))
	if v.Manifest {
		t.add("checked", "files, checksums, row counts and row hashes are those of the manifest")
	} else {
		t.add("checked", "every byte was read; there is no manifest to hold it against")
	}
	return t.String()
}
