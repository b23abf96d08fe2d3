package migrate_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// terminate ends the sessions of a server that a condition on
// pg_stat_activity selects, as an administrator would, and waits until they are gone.
func terminate(t testing.TB, s *pgtest.Server, condition string) {
	t.Helper()
	ended := s.Rows(t, "postgres", `SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND `+condition)
	if len(ended) == 0 {
		t.Errorf("no session is one with %s", condition)
	}
}

// leader selects the session of a run that holds the snapshot: its first in the source's database.
func leader(db string) string {
	return `pid = (SELECT pid FROM pg_stat_activity WHERE application_name = 'pgberth' AND datname = '` + db + `' ORDER BY backend_start LIMIT 1)`
}

// TestLostSession loses sessions of a run in several ways. It must not go on as
// if nothing had happened, nor leave anything behind.
func TestLostSession(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	for name, test := range map[string]struct {
		at    *pgtest.Server
		jobs  string
		words []string
		after bool
		do    func(w *wire)
		want  string // in the message
		soak  bool   // left out unless there is time
	}{
		"the target's administrator ends a worker": {
			at: dst, words: []string{"CREATE INDEX"},
			do:   func(*wire) { terminate(t, dst, `datname ~ '_pgberth_'`) },
			want: "terminating connection due to administrator command",
		},
		"the target's administrator ends the session that holds the locks": {
			at: dst, words: []string{"COPY"},
			do: func(*wire) {
				terminate(t, dst, `datname = 'postgres' AND application_name = 'pgberth'`)
			},
			want: "terminating connection due to administrator command",
		},
		"the source's administrator ends pg_dump": {
			at: src, words: []string{"pg_event_trigger"},
			do:   func(*wire) { terminate(t, src, `application_name = 'pg_dump'`) },
			want: "pg_dump.*terminating connection due to administrator command",
		},
		"the source's administrator ends a stream": {
			at: src, words: []string{"SET TRANSACTION SNAPSHOT", "COPY"},
			do:   func(*wire) { terminate(t, src, `application_name = 'pgberth' AND datname = '`+l.db+`'`) },
			want: "copy table .*(terminating connection due to administrator command|was ended)",
			soak: true,
		},
		"the source's administrator ends the snapshot": {
			at: src, words: []string{"SET TRANSACTION SNAPSHOT", "SET TRANSACTION SNAPSHOT"}, jobs: "1", // pg_dump's, the only stream's
			do:   func(*wire) { terminate(t, src, leader(l.db)) },
			want: "copy table .*join the snapshot: the session that held it was ended",
		},
		"the source's administrator ends the snapshot late": {
			at: src, words: []string{"COPY", "COPY"}, jobs: "1", // the only stream has joined
			do:   func(*wire) { terminate(t, src, leader(l.db)) },
			want: "the session that holds the snapshot was lost",
		},
		"the cable breaks while rows move": {
			at: dst, words: []string{"COPY"}, after: true,
			do:   func(w *wire) { w.cut() },
			want: "copy table|write large objects|_pgberth_",
			soak: true,
		},
		"the cable breaks before the swap is committed": {
			at: dst, words: []string{`RENAME TO "` + l.db + `"`, "COMMIT"},
			do:   func(w *wire) { w.cut() },
			want: "swap",
		},
	} {
		if test.soak && !pgtest.Soak() {
			continue
		}
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			l.relic(t)
			w := openWire(t, test.at)
			from, to := src.URL(l.db), dst.URL(l.db)
			if test.at == src {
				from = w.url(t, l.db)
			} else {
				to = w.url(t, l.db)
			}
			w.at(test.after, test.words, func() { test.do(w) })
			p := command(t, l.args(from, to, "--replace", "--jobs", cmp.Or(test.jobs, "2"))...)
			if status := p.run(); status != 1 {
				t.Errorf("exit status %d, want 1", status)
			}
			if !regexp.MustCompile(`(?s)` + test.want).MatchString(p.failure().Message) {
				t.Errorf("message %q does not say %q", p.failure().Message, test.want)
			}
			l.assertQuiet(t, p)
			if left := l.databases(t); len(left) != 1 {
				t.Errorf("databases left: %v", left)
			}
			if l.hasRole(t) {
				t.Error("a role that the run created is left")
			}
			l.assertRelic(t, l.db)
		})
	}
	command(t, l.args(src.URL(l.db), dst.URL(l.db), "--replace")...).must()
	l.assertArrived(t)
}

// TestLostWhileCommitting breaks the cable when the server has the swap's
// COMMIT. The run must find out which way it went, and that is success.
func TestLostWhileCommitting(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	l.relic(t)
	w := openWire(t, dst)
	w.at(true, []string{`RENAME TO "` + l.db + `"`, "COMMIT"}, w.cut)
	p := command(t, l.args(src.URL(l.db), w.url(t, l.db), "--replace")...)
	p.must()
	l.assertArrived(t)
	if left := l.databases(t); len(left) != 2 {
		t.Errorf("databases: %v", left)
	} else {
		l.assertRelic(t, left[1])
	}
}

// TestSourceDies ends the source's server while rows move.
func TestSourceDies(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.NewHost(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	for name, test := range map[string]struct {
		do   func()
		soak bool
	}{
		"shut down at once": {do: func() { signalPostmaster(t, src, syscall.SIGQUIT) }},
		"shut down":         {do: func() { src.Stop(t) }, soak: true},
		"a session crashes": {do: func() { crashSession(t, src, l.db) }, soak: true},
	} {
		if test.soak && !pgtest.Soak() {
			continue
		}
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			l.relic(t)
			w := openWire(t, src)
			w.at(false, []string{"SET TRANSACTION SNAPSHOT", "COPY"}, test.do)
			p := command(t, l.args(w.url(t, l.db), dst.URL(l.db), "--replace")...)
			if status := p.run(); status != 1 || !strings.Contains(p.failure().Message, "copy table") {
				t.Errorf("exit status %d, want 1 and %q\n%s", status, "copy table", p.said())
			}
			if left := l.databases(t); len(left) != 1 || l.hasRole(t) {
				t.Errorf("left behind: %v", left)
			}
			l.assertRelic(t, l.db)
			src.Stop(t) // what is left of it
			src.Start(t)
			l.assertQuiet(t, p)
		})
	}
	command(t, l.args(src.URL(l.db), dst.URL(l.db), "--replace")...).must()
	l.assertArrived(t)
}

// signalPostmaster sends a signal to the server and waits until it is gone.
func signalPostmaster(t testing.TB, s *pgtest.Server, signal syscall.Signal) {
	t.Helper()
	file := filepath.Join(s.SocketDir, "data", "postmaster.pid")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Error(err)
		return
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Error(err)
	}
	eventually(t, func() string {
		if _, err := os.Stat(file); err == nil {
			return "the server does not end"
		}
		return ""
	})
}

// crashSession kills a process of the server, which ends all of its sessions.
func crashSession(t testing.TB, s *pgtest.Server, db string) {
	t.Helper()
	pids := s.Rows(t, "postgres", `SELECT pid FROM pg_stat_activity WHERE datname = '`+db+`' LIMIT 1`)
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Error(err)
			return
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
}

// TestTargetCrashes crashes a session of the target, which makes the server end
// all others and recover. The run waits for that, to take away what it made.
func TestTargetCrashes(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	l.relic(t)
	w := openWire(t, dst)
	w.at(false, []string{"CREATE INDEX"}, func() {
		var pids []string
		eventually(t, func() string { // until the large objects are there, another session may be the first to fail
			pids = dst.Rows(t, "postgres", `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname ~ '^`+l.db+`_pgberth_'`)
			if len(pids) != 1 {
				return "sessions in the staging database: " + strings.Join(pids, ", ")
			}
			return ""
		})
		docker(t, "exec", dst.Container, "bash", "-c", "kill -9 "+strings.Join(pids, " "))
	})
	p := command(t, l.args(src.URL(l.db), w.url(t, l.db), "--replace", "--jobs", "1")...)
	refused(t, p, 1, "restore ")
	l.assertQuiet(t, p)
	if left := l.databases(t); len(left) != 1 || l.hasRole(t) {
		t.Errorf("left behind: %v\n%s", left, p.said())
	}
	l.assertRelic(t, l.db)
}

// TestTargetDies kills the target's container while an index is built.
func TestTargetDies(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.Container(t, 17, pgtest.Volume())
	l := newLedger(t, src, dst)
	l.relic(t)
	w := openWire(t, dst)
	w.at(true, []string{"CREATE INDEX"}, func() {
		dst.Kill(t)
		w.close() // nobody listens: at the address of a container that is gone nobody answers, for seconds
	})
	p := command(t, l.args(src.URL(l.db), w.url(t, l.db), "--replace")...)
	if status := p.run(); status != 1 {
		t.Errorf("exit status %d, want 1\n%s", status, p.said())
	}
	if want := "drop the staging database"; !strings.Contains(p.failure().Message, want) {
		t.Errorf("message %q does not say %q", p.failure().Message, want)
	}
	dst.Start(t)
	l.assertQuiet(t, p)
	l.assertRelic(t, l.db)
	if left := l.databases(t); len(left) != 2 {
		t.Errorf("databases: %v, want the old and the staging database", left)
	}
	command(t, l.args(src.URL(l.db), dst.Endpoint(l.db), "--replace", "--drop-old")...).must()
	l.assertArrived(t)
	if left := l.databases(t); len(left) != 1 {
		t.Errorf("databases left: %v", left)
	}

	// The engine knows what has become of a container.
	w = openWire(t, src)
	w.at(false, []string{"COPY"}, func() { dst.Kill(t) })
	refused(t, command(t, l.args(w.url(t, l.db), dst.Endpoint(l.db), "--replace")...), 1,
		fmt.Sprintf("container %q is exited (137); docker start %[1]s", dst.Container))
	dst.Start(t) // for what the test cleans up
}
