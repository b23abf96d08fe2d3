package migrate_test

import (
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
)

// settings are those that a load may change, with what postgresql.auto.conf holds of them.
const settings = `
SELECT s.name || '=' || current_setting(s.name) || COALESCE(' file ' || f.setting, '') FROM pg_settings s
LEFT JOIN pg_file_settings f ON f.name = s.name AND f.sourcefile LIKE '%/postgresql.auto.conf'
WHERE s.name IN ('fsync', 'full_page_writes', 'checkpoint_timeout', 'autovacuum', 'max_wal_size', 'wal_level', 'max_wal_senders', 'shared_buffers', 'work_mem')
ORDER BY 1`

const notes = `SELECT COALESCE(to_regclass('pgberth.fast_load')::text, 'none')`

// fastField is a server of its own, whose owner has settings of his own, and a database to move there.
type fastField struct {
	t      *testing.T
	l      *ledger
	before []string
	state  string
}

func newFastField(t *testing.T) *fastField {
	t.Helper()
	f := &fastField{t: t, state: t.TempDir()}
	t.Setenv("XDG_STATE_HOME", f.state)
	dst := pgtest.Container(t, 17, pgtest.Volume())
	dst.Exec(t, "postgres", "ALTER SYSTEM SET checkpoint_timeout = '7min'")
	dst.Exec(t, "postgres", "ALTER SYSTEM SET work_mem = '5MB'")
	dst.Exec(t, "postgres", "SELECT pg_reload_conf()")
	f.l = newLedger(t, pgtest.Host(t), dst)
	f.before = dst.Rows(t, "postgres", settings)
	return f
}

// assertAsBefore finds every setting as it was, and no note of a change.
func (f *fastField) assertAsBefore() {
	f.t.Helper()
	if got := f.l.dst.Rows(f.t, "postgres", settings); !slices.Equal(got, f.before) {
		f.t.Errorf("settings %q, were %q", got, f.before)
	}
	if got := f.l.dst.Row(f.t, "postgres", notes); got != "none" {
		f.t.Errorf("table %s is left", got)
	}
	if files, err := os.ReadDir(f.state + "/pgberth"); err == nil && len(files) > 0 {
		f.t.Errorf("file %s is left", files[0].Name())
	}
}

// during runs the program and looks at the server's settings before the first row is sent.
func (f *fastField) during(args ...string) []string {
	f.t.Helper()
	w := openWire(f.t, f.l.src)
	var seen []string
	var once sync.Once
	w.at(false, []string{"COPY"}, func() {
		once.Do(func() {
			f.l.dst.FindAgain(f.t)
			seen = f.l.dst.Rows(f.t, "postgres", settings)
		})
	})
	command(f.t, f.l.args(w.url(f.t, f.l.db), f.l.dst.Endpoint(f.l.db), args...)...).must()
	return seen
}

func has(t *testing.T, settings []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(s, w) }) {
			t.Errorf("while loading: %q lacks %s", settings, w)
		}
	}
}

func TestFastLoad(t *testing.T) {
	f := newFastField(t)
	has(t, f.during("--fast-load"), "fsync=off", "full_page_writes=off", "autovacuum=off", "checkpoint_timeout=1h", "work_mem=5MB", "wal_level=replica")
	f.assertAsBefore()
	f.l.assertArrived(t)

	// What it brought is now somebody's: it may not be put at risk.
	refused(t, command(t, f.l.args(f.l.src.URL(f.l.db), f.l.dst.Endpoint(f.l.db), "--fast-load=on", "--replace")...), 1, "it also holds database "+f.l.db, "--fast-load auto")
	refused(t, command(t, f.l.args(f.l.src.URL(f.l.db), f.l.dst.Endpoint(f.l.db), "--fast-load=restart", "--replace")...), 1, "it also holds database "+f.l.db)
	f.assertAsBefore()
}

func TestFastLoadRestart(t *testing.T) {
	pgtest.Long(t)
	f := newFastField(t)
	app := f.l.dst.Connect(t, "postgres")
	refused(t, command(t, f.l.args(f.l.src.URL(f.l.db), f.l.dst.Endpoint(f.l.db), "--fast-load", "restart")...), 1, "sessions are connected to it")
	if err := app.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := f.during("--fast-load=restart")
	f.l.dst.FindAgain(t)
	has(t, seen, "fsync=off", "wal_level=minimal", "max_wal_senders=0")
	f.assertAsBefore()
	f.l.assertArrived(t)
}

// A run that is killed leaves the server as it was loading. The next one, whatever it is asked to do with
// settings, puts them back first.
func TestFastLoadKilled(t *testing.T) {
	f := newFastField(t)
	rows := phase("unit_start", progress.Rows)
	for _, kill := range []struct {
		level   string
		relaxed bool
		moment
	}{
		{"on", false, moment{name: "note taken", words: []string{"INSERT INTO pgberth.fast_load", "COMMIT"}, after: true, soak: true}},
		{"on", false, moment{name: "some settings changed", words: []string{`ALTER SYSTEM SET "fsync"`}, after: true, soak: true}},
		{"on", true, moment{name: "rows", event: rows}},
		{"on", true, moment{name: "before they are put back", words: []string{`ALTER SYSTEM RESET`}, soak: true}},
		{"on", false, moment{name: "put back, not flushed", words: []string{`ALTER SYSTEM RESET "fsync"`, "CHECKPOINT"}, soak: true}},
		{"on", false, moment{name: "note still there", words: []string{"TO PROGRAM", "TO PROGRAM", "DELETE FROM pgberth.fast_load"}, soak: true}},
		{"restart", true, moment{name: "rows, after a restart", event: rows, soak: true}},
	} {
		if kill.soak && !pgtest.Soak() {
			continue
		}
		t.Run(kill.name, func(t *testing.T) {
			f.t = t
			p := f.l.interrupt(t, kill.moment, syscall.SIGKILL, "--fast-load="+kill.level)
			if status := p.wait(); status != -1 {
				t.Fatalf("exit status %d\n%s", status, p.said())
			}
			f.l.dst.FindAgain(t)
			f.l.assertQuiet(t, p)
			if kill.relaxed {
				has(t, f.l.dst.Rows(t, "postgres", settings), "fsync=off")
			}
			command(t, f.l.args(f.l.src.URL(f.l.db), f.l.dst.Endpoint(f.l.db), "--fast-load=off")...).must()
			f.l.dst.FindAgain(t)
			f.assertAsBefore()
			f.l.assertArrived(t)
			f.l.dst.DropDB(t, f.l.db)
		})
	}
}

// An interruption is no reason to leave anything behind; a setting that somebody has changed meanwhile stays so.
func TestFastLoadInterrupted(t *testing.T) {
	pgtest.Long(t)
	f := newFastField(t)
	w := openWire(t, f.l.src)
	p := command(t, f.l.args(w.url(t, f.l.db), f.l.dst.Endpoint(f.l.db), "--fast-load=on")...)
	var once sync.Once
	w.at(false, []string{"COPY"}, func() {
		once.Do(func() {
			f.l.dst.Exec(t, "postgres", "ALTER SYSTEM SET autovacuum = on")
			p.signal(syscall.SIGINT)
		})
	})
	p.start(nil)
	if status := p.wait(); status != 130 {
		t.Fatalf("exit status %d\n%s", status, p.said())
	}
	if !strings.Contains(p.said(), "setting autovacuum was changed by somebody else") {
		t.Errorf("said %s", p.said())
	}
	f.l.dst.Exec(t, "postgres", "ALTER SYSTEM RESET autovacuum")
	f.l.dst.Exec(t, "postgres", "SELECT pg_reload_conf()")
	f.assertAsBefore()
}

func TestFastLoadRefused(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	dst := pgtest.Container(t, 17, pgtest.Settings("fsync=on"))
	l := newLedger(t, pgtest.Host(t), dst)
	for _, c := range []struct {
		to    string
		args  []string
		words []string
	}{
		{dst.Endpoint(l.db), []string{"--fast-load"}, []string{"setting fsync is fixed by the server's command line"}},
		{dst.Endpoint(l.db), []string{"--fast-load=restart"}, []string{"keeps its data in memory", "--fast-load on"}},
		{dst.URL(l.db), []string{"--fast-load=restart"}, []string{"it is in no container that pgberth could restart"}},
	} {
		refused(t, command(t, l.args(l.src.URL(l.db), c.to, c.args...)...), 1, c.words...)
	}
	if got := dst.Row(t, "postgres", notes); got != "none" {
		t.Errorf("table %s is left", got)
	}
}
