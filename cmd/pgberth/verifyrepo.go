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
	"github.com/pgberth/pgberth/repository"
)

// verifiedBackup is what was found of a backup.
type verifiedBackup struct {
	Database     string        `json:"database"`
	ID           string        `json:"id"`
	Good         bool          `json:"good"`
	Error        string        `json:"error,omitempty"`
	File         string        `json:"file,omitempty"` // that is damaged
	ReadData     bool          `json:"read_data"`
	Files        int           `json:"files"`
	Stored       int64         `json:"stored_bytes"`
	Tables       int           `json:"tables"`
	Rows         int64         `json:"rows"`
	LargeObjects int64         `json:"large_objects"`
	Elapsed      time.Duration `json:"elapsed_ns"`

	err error
}

// runVerifyBackups verifies one backup, or all. Damage in one does not end it; what does is told after what was found before.
func runVerifyBackups(cmd *cobra.Command, c *cli, f *verifyFlags, ref string) error {
	start := time.Now()
	var found []*verifiedBackup
	err := c.withRepo(cmd, &f.repo, func(ctx context.Context, repo *repository.Repository, reporter progress.Reporter) error {
		ids, err := f.identity.identities(reporter)
		if err != nil {
			return err
		}
		backups, err := chosen(ctx, repo, ref)
		if err != nil {
			return err
		}
		for _, b := range backups {
			v := verifyBackup(ctx, b, f.readData, ids, reporter)
			if v.err != nil && !isDamage(v.err) {
				return fmt.Errorf("%s: %w", b, v.err)
			}
			found = append(found, v)
		}
		return nil
	})
	return errors.Join(err, c.printVerified(found, ref == "" && err == nil, time.Since(start)))
}

// chosen is the backup that a reference means, or all.
func chosen(ctx context.Context, repo *repository.Repository, ref string) ([]*repository.Backup, error) {
	if ref == "" {
		all, err := repo.List(ctx, "")
		if err == nil && len(all) == 0 {
			_, err = repo.Find(ctx, repository.Latest) // says that there is none
		}
		return all, err
	}
	b, err := repo.Find(ctx, ref)
	return []*repository.Backup{b}, err
}

func verifyBackup(ctx context.Context, b *repository.Backup, readData bool, ids []archive.Identity, reporter progress.Reporter) *verifiedBackup {
	start := time.Now()
	v := &verifiedBackup{Database: b.Series.Name(), ID: b.ID, ReadData: readData, Files: len(b.Files), Stored: b.Size}
	reporter.Report(progress.PhaseStart{Phase: progress.Verify, Bytes: b.Size})
	switch {
	case b.Err != nil:
		v.err = b.Err
	case readData:
		v.err = v.readData(ctx, b, ids)
	default:
		total := b.Manifest.Total()
		v.Tables, v.Rows, v.LargeObjects = total.Tables, total.Rows, total.LargeObjects
		v.err = archive.CheckFiles(ctx, b, b.Manifest)
	}
	v.Good, v.Elapsed = v.err == nil, time.Since(start)
	if v.err != nil {
		v.Error = v.err.Error()
		var corrupt *archive.CorruptError
		if errors.As(v.err, &corrupt) {
			v.File = corrupt.File
		}
		return v
	}
	reporter.Report(progress.PhaseEnd{Phase: progress.Verify, Units: v.Tables, Bytes: b.Size, Elapsed: v.Elapsed})
	return v
}

// readData reads all there is to read of a backup.
func (v *verifiedBackup) readData(ctx context.Context, b *repository.Backup, ids []archive.Identity) error {
	if b.Manifest.Kind != "" {
		files, err := archive.OpenContents(ctx, b, ids...)
		if err != nil {
			return err
		}
		return files.Check(ctx)
	}
	a, err := archive.OpenFolder(ctx, b, ids...)
	if err != nil {
		return err
	}
	read, err := archive.Verify(ctx, a)
	v.Tables, v.Rows, v.LargeObjects = read.Tables, read.Rows, read.LargeObjects
	return errors.Join(err, a.Close())
}

func (c *cli) printVerified(found []*verifiedBackup, all bool, elapsed time.Duration) error {
	var damaged []error
	var stored int64
	for _, v := range found {
		stored += v.Stored
		if v.err != nil {
			damaged = append(damaged, fmt.Errorf("%s/%s: %w", v.Database, v.ID, v.err))
		}
		if c.json {
			if err := writeJSON(c.stdout, "verified", v); err != nil {
				return err
			}
		} else if err := c.print(verifiedLine(v)); err != nil {
			return err
		}
	}
	if all && !c.json {
		if err := c.print(fmt.Sprintf("%s, %s read in %s\n", count(len(found), "backup"), human.Bytes(stored), human.Duration(elapsed))); err != nil {
			return err
		}
	}
	if len(damaged) > 1 {
		return fmt.Errorf("%d of %d backups are damaged; the first: %w", len(damaged), len(found), damaged[0])
	}
	return errors.Join(damaged...)
}

// verifiedLine claims what was checked and no more.
func verifiedLine(v *verifiedBackup) string {
	name := printable(v.Database + "/" + v.ID)
	if v.err != nil {
		return "damaged  " + name + "\n"
	}
	text := count(v.Files, "file") + ", " + human.Bytes(v.Stored)
	if v.ReadData {
		text += ", " + count(v.Rows, "row") + " in " + count(v.Tables, "table") + " counted and hashed"
	}
	return "whole    " + name + "  " + text + "\n"
}
