package backup

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// work is a backup on its way.
type work struct {
	folder   archive.FolderWriter // takes what is not encrypted
	mark     archive.ManifestBackup
	reporter progress.Reporter
	result   *Result
}

// warn adds to what is suspect.
func (w *work) warn(object, text, remedy string) {
	warning := progress.Warning{Object: object, Text: text, Remedy: remedy}
	w.result.Warnings = append(w.result.Warnings, warning)
	w.reporter.Report(warning)
}

// complete says of the result what is known when the backup was published.
func (w *work) complete(ctx context.Context, s *sink, previous *repository.Backup, o *Options) {
	m := s.published
	w.result.Manifest, w.result.Size, w.result.Files = m, m.Size(), len(m.Files)
	w.result.Recipients = m.Encryption.Recipients
	if previous != nil {
		w.result.Previous = previous.ID
	}
	if o.MaxFall > 0 && m.Kind == "" {
		w.compare(ctx, m.Total(), previous, o)
	}
}

// compare finds what a backup that was done well says of a database that is not well.
func (w *work) compare(ctx context.Context, now archive.ManifestTotals, previous *repository.Backup, o *Options) {
	const remedy = "see whether this is the right database, and whether it holds what it should; no earlier backup was removed"
	name := w.result.Series
	if now.Tables == 0 && !o.AllowEmpty {
		if !alwaysEmpty(ctx, o.Repository, previous) {
			w.warn(name, "the database has no tables with rows to back up", remedy+"; if it is meant to be empty this is not said again, nor if it is left out, by exclude in the file of pgberth nightly")
		}
		return
	}
	if previous == nil {
		return
	}
	before := previous.Manifest.Total()
	fell := func(what string, now, before int64) {
		if before > 0 && float64(now) < float64(before)*(1-o.MaxFall) {
			w.warn(name, fmt.Sprintf("the %s fell from %d to %d, by %.0f %%, since the backup %s", what, before, now,
				100*float64(before-now)/float64(before), previous.ID), remedy)
		}
	}
	fell("number of tables", int64(now.Tables), int64(before.Tables))
	fell("number of rows", now.Rows, before.Rows)
	fell("bytes of rows", now.Raw, before.Raw)
}

// alwaysEmpty reports whether there are backups of a series, and all that are left have no tables either. The last one alone tells nothing: the night
// after a loss it is that of the night before.
func alwaysEmpty(ctx context.Context, repo *repository.Repository, previous *repository.Backup) bool {
	if previous == nil {
		return false
	}
	all, err := repo.List(ctx, previous.Series)
	return err == nil && !slices.ContainsFunc(all, func(b *repository.Backup) bool { return b.Manifest == nil || b.Manifest.Total().Tables > 0 })
}
