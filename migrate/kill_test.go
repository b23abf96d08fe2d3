package migrate_test

import (
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
)

// A moment is a point of a run.
type moment struct {
	name  string
	words []string           // of statements, the last of which is the moment
	after bool               // the server has that statement already
	event func(e event) bool // or the arrival of an event, not after the rows
	done  bool               // the new database is in place, for good
	soak  bool               // left out unless there is time
}

func phase(name, phase string) func(event) bool {
	return func(e event) bool { return e.Event == name && e.Phase == phase }
}

// moments of a run into a database that exists, in their order. DB stands for its name.
var moments = []moment{
	{name: "preflight", event: phase("phase_start", progress.Preflight), soak: true},
	{name: "locked", words: []string{"pg_try_advisory_lock"}, after: true, soak: true},
	{name: "preflight done", event: phase("phase_end", progress.Preflight), soak: true},
	{name: "before the roles are there", words: []string{"CREATE ROLE", "COMMIT"}, soak: true},
	{name: "after the roles", words: []string{"CREATE ROLE", "COMMIT"}, after: true, soak: true},
	{name: "before the staging database", words: []string{"CREATE DATABASE"}, soak: true},
	{name: "in CREATE DATABASE", words: []string{"CREATE DATABASE"}, after: true, soak: true},
	{name: "staging marked", words: []string{"COMMENT ON DATABASE"}, after: true, soak: true},
	{name: "pre-data", words: []string{"CREATE TABLE"}, after: true, soak: true},
	{name: "pre-data commit", words: []string{"CREATE TABLE", "COMMIT"}, after: true, soak: true},
	{name: "rows", event: phase("unit_start", progress.Rows)},
	{name: "first rows sent", words: []string{"COPY"}, after: true, soak: true},
	{name: "third table", words: []string{"COPY", "COPY", "COPY"}, after: true, soak: true},
	{name: "large objects", words: []string{"lo_put"}, after: true, soak: true},
	{name: "index", words: []string{"CREATE INDEX"}, after: true, soak: true},
	{name: "primary key", words: []string{"PRIMARY KEY"}, after: true, soak: true},
	{name: "foreign key", words: []string{"FOREIGN KEY"}, after: true, soak: true},
	{name: "refresh", words: []string{"REFRESH MATERIALIZED VIEW"}, soak: true},
	{name: "sequences", words: []string{"setval"}, after: true, soak: true},
	{name: "analyze", words: []string{"ANALYZE"}, after: true, soak: true},
	{name: "verify", words: []string{"TO STDOUT"}, after: true, soak: true},
	{name: "event trigger", words: []string{"CREATE EVENT TRIGGER"}, after: true, soak: true},
	{name: "before the swap", words: []string{`RENAME TO "DB_before_`}, soak: true},
	{name: "old name given up", words: []string{`RENAME TO "DB_before_`}, after: true, soak: true},
	{name: "final name taken", words: []string{`RENAME TO "DB"`}, after: true, soak: true},
	{name: "before the swap's commit", words: []string{`RENAME TO "DB"`, "COMMIT"}},
	{name: "after the swap's commit", words: []string{`RENAME TO "DB"`, "COMMIT"}, after: true, done: true},
	{name: "old database dropped", words: []string{`RENAME TO "DB"`, "COMMIT", "DROP DATABASE"}, after: true, done: true, soak: true},
}

// TestKill kills runs in the hard way, at many points. Whatever the point, the
// old database is there, nothing goes on by itself, and another run succeeds.
func TestKill(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	for _, m := range moments {
		if m.soak && !pgtest.Soak() {
			continue
		}
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			l.relic(t)
			p := l.interrupt(t, m, syscall.SIGKILL, "--replace", "--drop-old", "--verify", "data")
			if status := p.wait(); status != -1 {
				t.Fatalf("exit status %d: the moment never came\n%s", status, p.said())
			}
			l.assertQuiet(t, p)
			l.assertOld(t, m)

			command(t, l.args(src.URL(l.db), dst.URL(l.db), "--replace")...).must()
			l.assertArrived(t)
			left := l.databases(t)
			old := l.db
			for _, db := range left {
				switch {
				case strings.Contains(db, "_pgberth_"):
					t.Errorf("the next run left %s", db)
				case db != l.db:
					old = db
				}
			}
			if !m.done {
				l.assertRelic(t, old)
			}
			for _, db := range left {
				if db != l.db {
					dst.DropDB(t, db)
				}
			}
		})
	}
}

// interrupt starts a run that gets a signal at the moment.
func (l *ledger) interrupt(t testing.TB, m moment, s os.Signal, more ...string) *process {
	t.Helper()
	if m.event != nil {
		// The event may be late: no row moves before it has arrived.
		w := openWire(t, l.src)
		arrived := make(chan struct{})
		w.at(false, []string{"COPY"}, func() { <-arrived })
		p := command(t, l.args(w.url(t, l.db), l.dst.Endpoint(l.db), more...)...)
		var once sync.Once // a second signal would be a demand
		p.start(func(e event) {
			if m.event(e) {
				once.Do(func() {
					p.signal(s)
					close(arrived)
				})
			}
		})
		t.Cleanup(func() { once.Do(func() { close(arrived) }) })
		return p
	}
	w := openWire(t, l.dst)
	p := command(t, l.args(l.src.URL(l.db), w.url(t, l.db), more...)...)
	words := make([]string, len(m.words))
	for i, word := range m.words {
		words[i] = strings.ReplaceAll(word, "DB", l.db)
	}
	w.at(m.after, words, func() {
		p.signal(s)
		switch {
		case s != syscall.SIGKILL && !m.done:
			<-w.cancels // the run has taken notice
		case s == syscall.SIGKILL && !m.after:
			w.cut() // what was on its way is lost with the run
		}
	})
	p.start(nil)
	return p
}

// assertOld finds the old database where it was, or where it is kept.
func (l *ledger) assertOld(t testing.TB, m moment) {
	t.Helper()
	if !m.done {
		l.assertRelic(t, l.db)
		return
	}
	l.assertArrived(t)
	for _, db := range l.databases(t) {
		if db != l.db { // it was about to be dropped, as asked
			l.assertRelic(t, db)
		}
	}
}
