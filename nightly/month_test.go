package nightly_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/nightly"
	"github.com/pgberth/pgberth/repository"
	"github.com/pgberth/pgberth/restore"
)

// TestNights simulates nights in a row, of which some go wrong, on a database that changes by day. Every backup that is there at
// the end is restored, or some of them where there are many, and must hold what the database held that night.
func TestNights(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	nights, restores, db := 4, 1, s.database(500)
	if pgtest.Soak() {
		nights, restores, db = 31, 12, pgtest.Banker(t, s.server, 1)
	}
	s.server.Exec(t, db, "CREATE TABLE public.diary (night int, text text)")
	random := rand.New(rand.NewPCG(4, 31))
	night := time.Date(2026, 10, 1, 0, 15, 0, 0, time.UTC) // the clocks of Berlin go back in this month
	s.now = func() time.Time { return night }
	const policy = "keep: {last: 2, daily: 7, weekly: 3, monthly: 2}"
	good := s.config([]string{db}, policy, "time_zone: Europe/Berlin")
	bad := s.config([]string{db}, policy, "hooks: {before: ['false']}")

	held := map[string]string{} // what the database held, by the ID of the backup
	for n := range nights {
		s.change(db, n, random)
		if n%5 == 2 {
			before := s.backups(db)
			s.expect(nightly.Failed, bad)
			if after := s.backups(db); !slices.Equal(before, after) {
				t.Errorf("night %d, in which nothing was backed up, has left %v of %v", n, after, before)
			}
		} else {
			job, _ := s.expect(nightly.Done, good)
			held[job.Backups[0].ID] = s.contents(db)
		}
		night = night.AddDate(0, 0, 1)
	}
	left := s.backups(db)
	if want := min(len(held), 7); len(left) < want {
		t.Fatalf("%d backups are left, want %d or more: %v", len(left), want, left)
	}
	random.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	for _, id := range left[:min(restores, len(left))] {
		if got := s.restore(db, id); got != held[id] {
			t.Errorf("%s restores to %s, and was %s", id, got, held[id])
		}
	}
	t.Logf("%d nights, %d backups made, %d left", nights, len(held), len(left))
}

// change is a day of the database.
func (s *site) change(db string, night int, random *rand.Rand) {
	s.server.Exec(s.t, db, fmt.Sprintf(`
INSERT INTO public.diary SELECT %d, md5(n::text) FROM generate_series(1, %d) n;
DELETE FROM public.diary WHERE night = %d;
UPDATE public.diary SET text = 'changed' WHERE night %% 3 = %d;
CREATE TABLE public.day_%d (id int PRIMARY KEY, at timestamptz DEFAULT now());
INSERT INTO public.day_%d SELECT generate_series(1, %d)`, night, 50+random.IntN(200), random.IntN(night+2), night%3, night, night, random.IntN(100)))
}

// contents is a fingerprint of all rows of all tables.
func (s *site) contents(db string) string {
	return s.server.Row(s.t, db, `
SELECT count(*) || ' tables, ' || md5(string_agg(c.oid::regclass || md5(query_to_xml(format('SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM ONLY %s t', c.oid::regclass), false, false, '')::text), ',' ORDER BY c.oid::regclass::text))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`)
}

// restore restores a backup into a database of its own, and returns what that holds.
func (s *site) restore(db, id string) string {
	s.t.Helper()
	a, err := archive.Open(filepath.Join(s.repo(), string(repository.Database(db)), id))
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Close()
	target := pgtest.NewName("restored")
	to, err := conninfo.Parse(s.server.URL(target))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.server.DropDB(s.t, target) })
	var options restore.ArchiveOptions
	options.To = to
	if _, err := restore.FromArchive(context.WithoutCancel(s.t.Context()), a, options); err != nil {
		s.t.Fatal(err)
	}
	return s.contents(target)
}
