package restore_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

// Large foreign keys are made and checked apart, and end as they were; those that the server could not make that way are
// made in one.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	s := pgtest.Host(t)
	db := s.CreateDB(t, "TEMPLATE template0")
	s.Exec(t, db, `
CREATE SCHEMA "odd schema";
CREATE TABLE events (id int PRIMARY KEY, kind int NOT NULL, parent int, filler text, UNIQUE (kind, id));
INSERT INTO events SELECT i, i % 5, NULLIF(i / 2, 0), repeat('x', 150) FROM generate_series(1, 60000) i;
CREATE INDEX ON events (kind);
CREATE TABLE "odd schema"."my ""orders""" (id int PRIMARY KEY, event int NOT NULL, kind int, other int);
INSERT INTO "odd schema"."my ""orders""" SELECT i, i, i % 5, i FROM generate_series(1, 1000) i;
ALTER TABLE "odd schema"."my ""orders""" ADD CONSTRAINT "first; key" FOREIGN KEY (event) REFERENCES events ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE "odd schema"."my ""orders""" ADD CONSTRAINT second FOREIGN KEY (kind, event) REFERENCES events (kind, id) MATCH FULL;
ALTER TABLE "odd schema"."my ""orders""" ADD CONSTRAINT not_yet FOREIGN KEY (other) REFERENCES events NOT VALID;
INSERT INTO events SELECT i, 9, NULL FROM generate_series(100001, 100003) i;
ALTER TABLE events ADD CONSTRAINT own FOREIGN KEY (parent) REFERENCES events;
CREATE TABLE parted (id int, event int) PARTITION BY RANGE (id);
CREATE TABLE part1 PARTITION OF parted FOR VALUES FROM (0) TO (2000);
INSERT INTO parted SELECT i, i FROM generate_series(1, 1000) i;
ALTER TABLE parted ADD CONSTRAINT from_parted FOREIGN KEY (event) REFERENCES events;
ALTER TABLE parted ADD PRIMARY KEY (id);
CREATE TABLE wide (id int, part int, filler text);
INSERT INTO wide SELECT i, 1 + i % 1000, repeat('x', 150) FROM generate_series(1, 60000) i;
ALTER TABLE wide ADD CONSTRAINT to_parted FOREIGN KEY (part) REFERENCES parted;
COMMENT ON CONSTRAINT own ON events IS 'of itself'`)
	path := stockDump(t, s, db, "-Fc", "-Z0")

	copied := newName(t, s)
	opts := options(t, s, copied)
	keys := &unitEnds{}
	opts.Reporter = keys
	result, err := restore.FromArchive(t.Context(), open(t, path), opts)
	if err != nil {
		t.Fatal(err)
	}
	if n := result.Objects["FK CONSTRAINT"]; n != 6 {
		t.Errorf("%d foreign keys were restored", n)
	}
	for key, want := range map[string]int{
		`odd schema.my "orders" first; key`: 2, `odd schema.my "orders" second`: 2, "public.events own": 2,
		`odd schema.my "orders" not_yet`: 1, "public.parted from_parted": 1, "public.wide to_parted": 1,
	} {
		if got := keys.count("FK CONSTRAINT " + key); got != want {
			t.Errorf("%s was worked on %d times, want %d", key, got, want)
		}
	}
	const constraints = `SELECT conrelid::regclass || ' ' || conname || ' ' || convalidated || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE contype = 'f' ORDER BY 1`
	if from, to := s.Rows(t, db, constraints), s.Rows(t, copied, constraints); !slices.Equal(from, to) {
		t.Errorf("the keys are\n%s\nwant\n%s", strings.Join(to, "\n"), strings.Join(from, "\n"))
	}

	// A key that does not hold fails the run, and is named.
	s.Exec(t, db, `SET session_replication_role = replica; INSERT INTO "odd schema"."my ""orders""" VALUES (2000, 77777777, 3)`)
	bad := newName(t, s)
	_, err = restore.FromArchive(t.Context(), open(t, stockDump(t, s, db, "-Fc", "-Z0")), options(t, s, bad))
	if err == nil || !strings.Contains(err.Error(), `restore FK CONSTRAINT odd schema.my "orders" `) || !strings.Contains(err.Error(), "77777777") {
		t.Errorf("the error is %v", err)
	}
	if s.Row(t, "postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE '"+bad+"%'") != "0" {
		t.Error("something is left")
	}
}

// unitEnds counts the units that were done.
type unitEnds struct {
	mu    sync.Mutex
	names []string
}

func (u *unitEnds) Report(e progress.Event) {
	if end, ok := e.(progress.UnitEnd); ok {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.names = append(u.names, end.Object)
	}
}

func (u *unitEnds) count(name string) (n int) {
	for _, done := range u.names {
		if done == name {
			n++
		}
	}
	return n
}
