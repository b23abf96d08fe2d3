package nightly_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgberth/pgberth/nightly"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/repository"
)

// A stubDriller notes what it is to drill.
type stubDriller struct {
	drilled []string
	last    time.Time
	err     error
}

func (d *stubDriller) LastPassed(context.Context, *repository.Repository, string) (time.Time, error) {
	return d.last, nil
}

func (d *stubDriller) Drill(_ context.Context, _ *config.Job, repo *repository.Repository, backup string, _ progress.Reporter) error {
	if _, err := repo.Find(context.Background(), backup); err != nil {
		return err
	}
	d.drilled = append(d.drilled, backup)
	return d.err
}

// TestDrills sees that a backup is drilled when that is due, and that one which does not pass removes no other.
func TestDrills(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	db := s.database(10)
	driller := &stubDriller{}
	night := func(want nightly.Status, when string) {
		t.Helper()
		options, _ := s.options(s.config([]string{db}, "keep: {last: 1}", "drill: "+when))
		options.Driller = driller
		if report := nightly.Run(t.Context(), options); report.Status != want {
			t.Fatalf("status %s, want %s: %q", report.Status, want, failures(report.Jobs[0]))
		}
	}
	night(nightly.Done, "weekly")
	driller.last = time.Now().Add(-6 * 24 * time.Hour)
	night(nightly.Done, "weekly")
	if len(driller.drilled) != 1 {
		t.Errorf("drilled: %v", driller.drilled)
	}
	driller.err = errors.New("rows are missing")
	night(nightly.Failed, "after-backup")
	got := s.backups(db)
	if want := db + "/" + got[len(got)-1]; len(got) != 2 || len(driller.drilled) != 2 || driller.drilled[1] != want {
		t.Errorf("backups: %v, drilled: %v", got, driller.drilled)
	}
}
