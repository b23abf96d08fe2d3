package backup_test

import (
	"bufio"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// kills is how many runs are killed.
func kills(few int) int {
	if pgtest.Soak() {
		return 200
	}
	return few
}

// killed starts a run, kills it at an event, or up to so long after it, and returns the number of its events and whether it died.
func killed(t testing.TB, nth int, after time.Duration, args ...string) (events int, died bool) {
	t.Helper()
	cmd := pgtest.Pgberth(t, append(args, "--json")...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if events++; events == nth {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended
		}
	}
	_ = cmd.Wait() // how it ended shows below
	return events, cmd.ProcessState.ExitCode() == -1
}

// Whenever a dump or a copy is killed, what is listed is whole, and the next run needs no help.
func TestKill(t *testing.T) {
	t.Parallel()
	const seed = 73
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	s := pgtest.Host(t)
	db := sample(t, s)
	recipient, _ := newKey(t)
	repo, to := filepath.Join(t.TempDir(), "repo"), filepath.Join(t.TempDir(), "to")
	dump := []string{"dump", "--from", s.URL(db), "--repo", repo}
	sealed := append(dump, "--encrypt-to", recipient)
	events, _ := killed(t, 0, 0, sealed...)

	published, deaths := 1, 0
	for i := range kills(3) {
		args := [][]string{dump, sealed}[i%2]
		nth, after := 1+random.IntN(events), time.Duration(random.IntN(20))*time.Millisecond
		if i == 0 { // however fast the machine is
			nth, after = 1, 0
		}
		if _, died := killed(t, nth, after, args...); died {
			deaths++
		}
		good := len(pgberth(t, 0, "list", "--repo", repo))
		pgberth(t, 0, "verify", "--repo", repo)
		if good < published {
			t.Fatalf("kill %d: %d backups are listed, %d were", i, good, published)
		}
		if i%10 == 0 || i == kills(3)-1 { // the next run
			pgberth(t, 0, args...)
			good++
			// What a killed run has left is gone.
			if found := backups(t, repo); len(found) != len(pgberth(t, 0, "list", "--repo", repo))-1 {
				t.Errorf("kill %d: there are %d folders of backups", i, len(found))
			}
		}
		published = good
		if i%20 == 19 {
			pgberth(t, 0, "forget", "--keep-last", "3", "--prune", "--repo", repo)
			published = len(pgberth(t, 0, "list", "--repo", repo))
		}
	}
	if deaths == 0 {
		t.Error("no dump was killed before its end")
	}

	events, _ = killed(t, 0, 0, "copy", "--repo", repo, "--to-repo", filepath.Join(t.TempDir(), "whole"))
	deaths = 0
	for i := range kills(2) {
		if _, died := killed(t, 1+random.IntN(events), time.Duration(random.IntN(5))*time.Millisecond, "copy", "--repo", repo, "--to-repo", to); died {
			deaths++
		}
		if i == 0 { // it may not have been made
			pgberth(t, 0, "copy", "latest", "--repo", repo, "--to-repo", to)
		}
		pgberth(t, 0, "verify", "--repo", to)
		if pgtest.Soak() && i%10 == 9 {
			to = filepath.Join(t.TempDir(), "to")
			pgberth(t, 0, "copy", "latest", "--repo", repo, "--to-repo", to)
		}
	}
	if deaths == 0 && pgtest.Soak() { // two copies may both be faster
		t.Error("no copy was killed before its end")
	}
	pgberth(t, 0, "copy", "--repo", repo, "--to-repo", to)
	pgberth(t, 0, "verify", "--repo", to)
	if from, copied := backups(t, repo), backups(t, to); len(from) != len(copied) {
		t.Errorf("%d backups, and %d in the copy", len(from), len(copied))
	}
}
