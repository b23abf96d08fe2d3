package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/nightly/config"
	"github.com/pgberth/pgberth/repository"
)

// TestLastPassedReadsOnce asks about several databases of a repository, whose reports are read for the first.
func TestLastPassedReadsOnce(t *testing.T) {
	dir := t.TempDir()
	repo, err := repository.Open(t.Context(), dir, repository.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	ended := time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)
	for n, report := range []struct {
		database string
		verdict  drill.Verdict
	}{{"shop", drill.Passed}, {"bank", drill.Passed}, {"bank", drill.Rejected}} {
		r := &drill.Report{Format: drill.ReportFormat, ID: "drill-" + string(rune('a'+n)), Verdict: report.verdict, Started: ended, Ended: ended.Add(time.Duration(n) * time.Hour)}
		r.Backup.Database = report.database
		if _, err := drill.WriteRepository(t.Context(), repo, r, nil); err != nil {
			t.Fatal(err)
		}
	}
	n := &nightlyDrills{}
	want := func(database string, want time.Time) {
		t.Helper()
		if got, err := n.LastPassed(t.Context(), repo, database); err != nil || !got.Equal(want) {
			t.Errorf("%s: %s, %v", database, got, err)
		}
	}
	want("shop", ended)
	if err := os.RemoveAll(filepath.Join(dir, string(repository.Drills))); err != nil {
		t.Fatal(err)
	}
	want("bank", ended.Add(time.Hour))
	want("none", time.Time{})
}

// TestDrillCheck finds all that drills of a job miss.
func TestDrillCheck(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/none.sock")
	n := &nightlyDrills{cmd: &cobra.Command{}, c: &cli{}}
	for _, test := range []struct {
		drill config.Drill
		major int
		want  []string
	}{
		{config.Drill{}, 0, nil},
		{config.Drill{Checks: "/none/checks.yaml", Identity: "/none/key"}, 0, []string{"drill.checks: open /none/checks.yaml", "drill.identity_file: open /none/key"}},
		{config.Drill{Server: "local"}, 9, []string{"no server programs of PostgreSQL 9"}},
		{config.Drill{Server: "docker"}, 15, []string{"no docker engine answered"}},
		{config.Drill{}, 9, []string{"no docker engine answered"}},
	} {
		errs := n.Check(t.Context(), &config.Job{Drill: test.drill}, test.major, "")
		if len(errs) != len(test.want) {
			t.Errorf("%+v: %v", test.drill, errs)
			continue
		}
		for i, err := range errs {
			if !strings.Contains(err.Error(), test.want[i]) {
				t.Errorf("%+v: %v; want %s", test.drill, err, test.want[i])
			}
		}
	}
}
