package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

const decryptLong = `decrypt brings the stock archive back from an encrypted backup: a directory that
pg_restore takes. All is held against the checksums of before the encryption, and
read again; nothing is at the path before it is whole. BACKUP is one in a
repository, with --repo; PATH is the directory of an encrypted backup anywhere.

A backup that is not encrypted is copied out of the repository in the same way.`

func newDecryptCommand(c *cli) *cobra.Command {
	var f inputFlags
	var file string
	cmd := &cobra.Command{
		Use:   "decrypt PATH|BACKUP --identity FILE --file PATH",
		Short: "Bring the stock archive back from an encrypted backup",
		Long:  decryptLong,
		Example: `  pgberth decrypt shop/latest --repo s3://offsite/pg --identity key.txt --file /tmp/shop
  pg_restore --create --dbname postgres /tmp/shop`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usage(cmd, errors.New("no target: give --file PATH"))
			}
			return runDecrypt(cmd.Context(), cmd, c, &f, args[0], file)
		},
	}
	cmd.Flags().SortFlags = false
	f.add(cmd.Flags())
	cmd.Flags().StringVarP(&file, "file", "f", "", "where the archive goes: a `PATH` where nothing is yet")
	return cmd
}

// decrypted is what decrypt did.
type decrypted struct {
	From    string        `json:"from"`
	Path    string        `json:"path"`
	Files   int           `json:"files"`
	Bytes   int64         `json:"bytes"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

func runDecrypt(ctx context.Context, cmd *cobra.Command, c *cli, f *inputFlags, arg, path string) error {
	start := time.Now()
	var d decrypted
	err := c.withReporter(func(reporter progress.Reporter) (err error) {
		ids, err := f.identity.identities(reporter)
		if err != nil {
			return err
		}
		folder, name, err := f.folder(ctx, cmd, arg, reporter)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, folder.Close()) }()
		instead := func(err error) error {
			if r, ok := folder.(repoFolder); ok && isDamage(err) {
				return besides(ctx, r.repo, r.Backup, err)
			}
			return err
		}
		from, err := archive.OpenContents(ctx, folder, ids...)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s has no manifest, so it is no backup of pgberth: %w", name, archive.ErrNotArchive)
		}
		if err != nil {
			return instead(fmt.Errorf("%s: %w", name, err))
		}
		if path, err = filepath.Abs(path); err != nil {
			return err
		}
		d = decrypted{From: name, Path: path, Files: len(from.Manifest.Files), Bytes: from.Manifest.Size()}
		if err = archive.Extract(ctx, from, path); isDamage(err) {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return instead(err)
	})
	if err != nil {
		return err
	}
	d.Elapsed = time.Since(start)
	if c.json {
		return writeJSON(c.stdout, "result", d)
	}
	t := table{align: "ll"}
	t.add("decrypted", printable(d.From))
	t.add("to", printable(d.Path))
	t.add("files", count(d.Files, "file")+", "+human.Bytes(d.Bytes))
	t.add("checked", "what was written is what was encrypted; it was read again")
	t.add("time", elapsedText(d.Bytes, d.Elapsed))
	return c.print(t.String())
}

// folder opens the files that an argument means.
func (f *inputFlags) folder(ctx context.Context, cmd *cobra.Command, arg string, reporter progress.Reporter) (archive.Folder, string, error) {
	if f.isPath(arg) {
		if _, err := os.Stat(arg); errors.Is(err, fs.ErrNotExist) {
			return nil, "", fmt.Errorf("%s: %w", arg, errNoArchive)
		}
		folder, err := archive.OpenDirectory(arg)
		return folder, arg, err
	}
	repo, b, err := f.find(ctx, cmd, arg, reporter)
	if err != nil {
		return nil, "", err
	}
	return repoFolder{b, repo}, repo.String() + "/" + b.String(), nil
}

// repoFolder closes the repository with the backup.
type repoFolder struct {
	*repository.Backup
	repo *repository.Repository
}

func (r repoFolder) Close() error { return errors.Join(r.Backup.Close(), r.repo.Close()) }
