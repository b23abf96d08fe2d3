package restore_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/progress"
	"github.com/pgberth/pgberth/restore"
)

// relaxed are the settings that a load may change unasked.
const relaxed = `SELECT name || '=' || current_setting(name) FROM pg_settings WHERE name IN ('autovacuum', 'checkpoint_timeout', 'fsync') ORDER BY 1`

// An autoLoad restores an archive with --fast-load auto, and takes any size for large.
type autoLoad struct {
	t      testing.TB
	s      *pgtest.Server
	path   string
	db     string
	before []string // the settings
	dir    string   // for notes
}

func newAutoLoad(t *testing.T, s *pgtest.Server) *autoLoad {
	t.Helper()
	t.Cleanup(restore.AutoFrom(0))
	a := &autoLoad{t: t, s: s, dir: t.TempDir()}
	t.Setenv("XDG_STATE_HOME", a.dir)
	source := pgtest.Host(t)
	db := source.CreateDB(t, "TEMPLATE template0")
	source.Exec(t, db, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
	a.path, a.db = stockDump(t, source, db, "-Fc"), newName(t, s)
	a.before = s.Rows(t, "postgres", relaxed)
	return a
}

// run restores, calls meanwhile before the first row, and returns what was said.
func (a *autoLoad) run(meanwhile func()) string {
	a.t.Helper()
	var said strings.Builder
	opts := options(a.t, a.s, a.db)
	opts.FastLoad, opts.Replace, opts.DropOld = restore.FastLoadAuto, true, true
	opts.Reporter = reporter(func(e progress.Event) {
		switch e := e.(type) {
		case progress.Warning:
			said.WriteString(e.Text + "; " + e.Remedy + "\n")
		case progress.Notice:
			said.WriteString(e.Text + "\n")
		case progress.PhaseStart:
			if e.Phase == progress.Rows {
				meanwhile()
			}
		}
	})
	if _, err := restore.FromArchive(a.t.Context(), open(a.t, a.path), opts); err != nil {
		a.t.Fatalf("%v\n%s", err, &said)
	}
	if got := a.s.Row(a.t, a.db, "SELECT count(*) FROM t"); got != "1000" {
		a.t.Errorf("%s rows", got)
	}
	return said.String()
}

type reporter func(progress.Event)

func (r reporter) Report(e progress.Event) { r(e) }

// settings finds whether those of the server are changed.
func (a *autoLoad) settings(changed bool) {
	a.t.Helper()
	want := a.before
	if changed {
		want = []string{"autovacuum=off", "checkpoint_timeout=1h", a.before[2]}
	}
	if got := a.s.Rows(a.t, "postgres", relaxed); !slices.Equal(got, want) {
		a.t.Errorf("settings %q, want %q", got, want)
	}
}

// Unasked, a load changes what does no harm, on a server that holds nothing else, and fails for none of it.
func TestFastLoadAuto(t *testing.T) {
	s := pgtest.NewHost(t)
	a := newAutoLoad(t, s)
	note := filepath.Join(a.dir, "pgberth")

	if err := os.WriteFile(note, nil, 0o600); err != nil { // where a folder should be
		t.Fatal(err)
	}
	if said := a.run(func() { a.settings(false) }); !strings.Contains(said, "were left as they are") || !strings.Contains(said, note) {
		t.Errorf("without a folder for the note: %s", said)
	}
	s.DropDB(t, a.db)
	if err := os.Remove(note); err != nil {
		t.Fatal(err)
	}

	// The server cannot read its file any more when the settings are to be put back.
	conf := filepath.Join(s.SocketDir, "data", "postgresql.auto.conf")
	var whole []byte
	said := a.run(func() {
		a.settings(true)
		var err error
		if whole, err = os.ReadFile(conf); err == nil {
			err = os.WriteFile(conf, append(slices.Clone(whole), "= nothing\n"...), 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if !strings.Contains(said, "are not all put back") || !strings.Contains(said, "the next run does so") {
		t.Errorf("with a file that is no configuration: %s", said)
	}
	a.settings(true)
	if err := os.WriteFile(conf, whole, 0o600); err != nil {
		t.Fatal(err)
	}

	// Then the next one puts them back. By now the server holds something.
	if said := a.run(func() { a.settings(false) }); !strings.Contains(said, "they are put back") {
		t.Errorf("after that: %s", said)
	}
	a.settings(false)
	s.DropDB(t, a.db)
	if said := a.run(func() { a.settings(true) }); said != "" {
		t.Errorf("nothing is the matter: %s", said)
	}
	a.settings(false)
	if left, err := os.ReadDir(note); err != nil || len(left) > 0 {
		t.Errorf("notes left: %v, %v", left, err)
	}
}

// A server of version 17 may let nobody change its settings.
func TestFastLoadNotAllowed(t *testing.T) {
	a := newAutoLoad(t, pgtest.Container(t, 17, pgtest.Settings("allow_alter_system=off")))
	if said := a.run(func() { a.settings(false) }); !strings.Contains(said, "--fast-load auto changes nothing: ") || !strings.Contains(said, "allow_alter_system is off") {
		t.Errorf("auto: %s", said)
	}
	a.s.DropDB(t, a.db)
	opts := options(t, a.s, a.db)
	opts.FastLoad = restore.FastLoadOn
	_, err := restore.FromArchive(t.Context(), open(t, a.path), opts)
	if err == nil || !strings.Contains(err.Error(), "allow_alter_system is off") || !strings.Contains(err.Error(), "--fast-load auto") {
		t.Errorf("on: %v", err)
	}
}
