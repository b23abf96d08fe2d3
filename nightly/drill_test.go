package nightly_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	noRole  bool
	err     error
	checked string
}

func (d *stubDriller) LastPassed(context.Context, *repository.Repository, string) (time.Time, error) {
	return d.last, nil
}

func (d *stubDriller) Drill(_ context.Context, _ *config.Job, repo *repository.Repository, backup string, _ progress.Reporter) (nightly.Drilled, error) {
	if _, err := repo.Find(context.Background(), backup); err != nil {
		return nightly.Drilled{}, err
	}
	d.drilled = append(d.drilled, backup)
	return nightly.Drilled{NoRole: d.noRole}, d.err
}

func (d *stubDriller) Check(_ context.Context, job *config.Job, major int, image string) []error {
	d.checked = fmt.Sprintf("%s %d %s", job.Name, major, image)
	return []error{errors.New("no server")}
}

// TestUnknownRole fails a job whose drills read as a role that none of its databases knows, which may be misspelt. It is enough if one does.
func TestUnknownRole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	with, without := s.database(1), s.database(1)
	role := with + "_app"
	s.server.Exec(t, with, fmt.Sprintf("CREATE ROLE %s; GRANT SELECT ON games TO %[1]s", role))
	t.Cleanup(func() { s.server.Exec(t, with, fmt.Sprintf("DROP OWNED BY %s; DROP ROLE %[1]s", role)) })
	driller := &stubDriller{noRole: true}
	night := func(want nightly.Status, role string) string {
		t.Helper()
		options, _ := s.options(s.config([]string{with, without}, "drill: {when: after-backup, smoke_as: "+role+"}"))
		options.Driller = driller
		report := nightly.Run(t.Context(), options)
		if report.Status != want {
			t.Fatalf("status %s, want %s: %q", report.Status, want, failures(report.Jobs[0]))
		}
		var found []string
		for _, f := range nightly.Probe(t.Context(), options) {
			found = append(found, f.Text)
		}
		return strings.Join(append(failures(report.Jobs[0]), found...), "; ")
	}
	if text := night(nightly.Done, role); text != "no server" || driller.checked != fmt.Sprintf("one %d ", s.server.Major) {
		t.Errorf("%s; checked: %s", text, driller.checked)
	}
	if text := night(nightly.Failed, "nobody"); text != "no backup knows the role nobody, so no drill has read anything as it; drill.smoke_as: the server has no role nobody; no server" {
		t.Error(text)
	}
	driller.noRole = false // such as that of the throwaway server's own
	night(nightly.Done, "nobody")
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
