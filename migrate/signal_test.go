package migrate_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
)

// TestInterrupt asks runs to end at many moments. Unlike a killed one, such a
// run takes away what it made, and says that it was interrupted.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	for name, test := range map[string]struct {
		moment moment
		signal os.Signal
		soak   bool
	}{
		"lock":           {moment{words: []string{"pg_try_advisory_lock"}}, syscall.SIGINT, true},
		"preflight":      {moment{event: phase("phase_start", progress.Preflight)}, syscall.SIGTERM, true},
		"roles":          {moment{words: []string{"CREATE ROLE"}}, syscall.SIGINT, true},
		"roles done":     {moment{words: []string{"CREATE ROLE", "COMMIT"}}, syscall.SIGINT, false},
		"staging":        {moment{words: []string{"CREATE DATABASE"}}, syscall.SIGTERM, true},
		"pre-data":       {moment{words: []string{"CREATE TABLE"}}, syscall.SIGINT, true},
		"rows":           {moment{words: []string{"COPY"}}, syscall.SIGINT, false},
		"rows by docker": {moment{event: phase("unit_start", progress.Rows)}, syscall.SIGTERM, true},
		"large objects":  {moment{words: []string{"lo_put"}}, syscall.SIGINT, true},
		"index":          {moment{words: []string{"CREATE INDEX"}}, syscall.SIGHUP, true},
		"sequences":      {moment{words: []string{"setval"}}, syscall.SIGINT, true},
		"analyze":        {moment{words: []string{"ANALYZE"}}, syscall.SIGTERM, true},
		"old name":       {moment{words: []string{`RENAME TO "DB_before_`}}, syscall.SIGINT, true},
		"final name":     {moment{words: []string{`RENAME TO "DB"`}}, syscall.SIGTERM, false},
		"almost done":    {moment{words: []string{`RENAME TO "DB"`, "COMMENT ON DATABASE"}}, syscall.SIGINT, true},
	} {
		if test.soak && !pgtest.Soak() {
			continue
		}
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			l.relic(t)
			p := l.interrupt(t, test.moment, test.signal, "--replace")
			if status := p.wait(); status != 130 {
				t.Errorf("exit status %d, want 130", status)
			}
			if e := p.failure(); e.Code != 130 || e.Message != "interrupted" {
				t.Errorf("the last event is %+v\n%s", e, p.said())
			}
			if left := l.databases(t); len(left) != 1 || l.hasRole(t) {
				t.Errorf("left behind: %v\n%s", left, p.said())
			}
			l.assertQuiet(t, p)
			l.assertRelic(t, l.db)
		})
	}
	command(t, l.args(src.URL(l.db), dst.Endpoint(l.db), "--replace")...).must()
	l.assertArrived(t)
}

// TestLateCancel: a request to cancel that reaches the server late ends the statement that tidies up, which is run again.
func TestLateCancel(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	w := openWire(t, dst)
	p := command(t, l.args(src.URL(l.db), w.url(t, l.db))...)
	holder := dst.Connect(t, "postgres")
	hold := func(sql string) {
		if _, err := holder.Exec(t.Context(), sql); err != nil {
			t.Error(err)
		}
	}
	var once sync.Once
	w.onSQL(func(sql string) (after func()) {
		switch {
		case strings.Contains(sql, "setval"):
			p.signal(syscall.SIGINT)
			<-w.cancels
		case dropsStaging(sql, l.db):
			once.Do(func() {
				hold("BEGIN")
				hold("COMMENT ON DATABASE " + l.databases(t)[0] + " IS 'held'") // so that it cannot be dropped yet
				after = func() {
					eventually(t, func() string {
						if len(dst.Rows(t, "postgres", fmt.Sprintf(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity
							WHERE query LIKE 'DROP DATABASE%%%s%%' AND wait_event_type = 'Lock'`, l.db))) == 0 {
							return "the database is not being dropped"
						}
						return ""
					})
					hold("ROLLBACK")
				}
			})
		}
		return after
	})
	refused(t, p, 130, "interrupted")
	if left := l.databases(t); len(left) != 0 || l.hasRole(t) {
		t.Errorf("left behind: %v\n%s", left, p.said())
	}
}

// TestInterruptTooLate: once the swap is being committed, the run is done.
func TestInterruptTooLate(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	l.relic(t)
	p := l.interrupt(t, moment{words: []string{`RENAME TO "DB"`, "COMMIT"}, done: true}, syscall.SIGINT, "--replace")
	if status := p.wait(); status != 0 {
		t.Errorf("exit status %d\n%s", status, p.said())
	}
	l.assertArrived(t)
	if left := l.databases(t); len(left) != 2 {
		t.Errorf("databases: %v", left)
	} else {
		l.assertRelic(t, left[1])
	}
}

// dropsStaging tells whether a statement drops a staging database of db, not what a killed run of another test left.
func dropsStaging(sql, db string) bool {
	return strings.Contains(sql, "DROP DATABASE") && strings.Contains(sql, db)
}

// TestSecondSignal: who is in a hurry can end a run that tidies up.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	w := openWire(t, dst)
	p := command(t, l.args(src.URL(l.db), w.url(t, l.db))...)
	held := make(chan struct{})
	w.onSQL(func(sql string) func() {
		switch {
		case strings.Contains(sql, "COPY"):
			p.signal(syscall.SIGINT)
		case dropsStaging(sql, l.db):
			p.signal(syscall.SIGINT)
			<-held // the server never gets it
		}
		return nil
	})
	p.start(nil)
	if status := p.wait(); status != -1 {
		t.Errorf("exit status %d, want to be ended by the signal", status)
	}
	w.cut()
	close(held)
	command(t, l.args(src.URL(l.db), dst.Endpoint(l.db))...).must()
	l.assertArrived(t)
	if left := l.databases(t); len(left) != 1 {
		t.Errorf("databases left: %v", left)
	}
}
