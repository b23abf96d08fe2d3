package backup

import (
	"fmt"

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
func (w *work) complete(s *sink, previous *repository.Backup, o *Options) {
	m := s.published
	w.result.Manifest, w.result.Size, w.result.Files = m, m.Size(), len(m.Files)
	w.result.Recipients = m.Encryption.Recipients
	if previous != nil {
		w.result.Previous = previous.ID
	}
	if o.MaxFall > 0 && m.Kind == "" {
		w.compare(m.Total(), previous, o)
	}
}

// compare finds what a backup that was done well says of a database that is not well.
func (w *work) compare(now archive.ManifestTotals, previous *repository.Backup, o *Options) {
	const remedy = "see whether this is the right database, and whether it holds what it should; no earlier backup was removed"
	name := w.result.Series
	if now.Tables == 0 && !o.AllowEmpty {
		w.warn(name, "the database has no tables with rows to back up", remedy)
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
