package dump_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestStandby: a standby is read like any server, but for what it does not have; it cannot be written to, and is not its primary.
func TestStandby(t *testing.T) {
	primary := pgtest.Host(t)
	db := primary.CreateDB(t, "TEMPLATE template0")
	primary.Exec(t, db, `CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id;
		CREATE SEQUENCE kept_ids; SELECT nextval('kept_ids'), nextval('kept_ids');
		CREATE UNLOGGED TABLE lost (id serial PRIMARY KEY); INSERT INTO lost DEFAULT VALUES;
		CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM kept; SELECT lo_from_bytea(4711, 'content')`)
	standby := pgtest.NewStandby(t, primary)
	path := filepath.Join(t.TempDir(), "archive")
	status, _, stderr := pgtest.Status(t, pgtest.Pgberth(t, "dump", "--from", standby.URL(db), "--file", path))
	if status != 0 || !strings.Contains(stderr, "table public.lost: is unlogged: a standby has no rows of it") {
		t.Fatalf("exit status %d\n%s", status, stderr)
	}
	assertWhole(t, path)
	restored := stockRestored(t, primary, path)
	if got := primary.Row(t, restored, "SELECT count(*), (SELECT count(*) FROM lost), (SELECT last_value FROM kept_ids), (SELECT n FROM counted), lo_get(4711) FROM kept"); got != `1000|0|2|1000|\x636f6e74656e74` {
		t.Errorf("restored: %s", got)
	}

	status, _, stderr = pgtest.Status(t, pgtest.Pgberth(t, "restore", path, "--to", standby.URL(db+"_new")))
	if status != 1 || !strings.Contains(stderr, "target: is a standby") {
		t.Errorf("into a standby: exit status %d\n%s", status, stderr)
	}
	status, _, stderr = pgtest.Status(t, pgtest.Pgberth(t, "compare", "--from", primary.URL(db), "--to", standby.URL(db)))
	if status != 1 || !strings.Contains(stderr, "it is a standby, which does not have what is unlogged: public.lost, public.lost_id_seq; compare with its primary, or use --schema-only") &&
		!strings.Contains(stderr, "what is unlogged: public.lost; ") { // sequences are, too, since version 15
		t.Errorf("compared: exit status %d\n%s", status, stderr)
	}
	if status, _, stderr := pgtest.Status(t, pgtest.Pgberth(t, "compare", "--from", primary.URL(db), "--to", standby.URL(db), "--schema-only")); status != 0 {
		t.Errorf("compared without rows: exit status %d\n%s", status, stderr)
	}
	plan := pgtest.Pgberth(t, "migrate", "--from", standby.URL(db), "--to", primary.URL(db), "--replace", "--dry-run")
	if status, _, stderr := pgtest.Status(t, plan); status != 0 {
		t.Errorf("from a standby to its primary: exit status %d\n%s", status, stderr)
	}
}

// TestNoFolder: where an archive cannot be put is said, and what to do.
func TestNoFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "archive")
	status, _, stderr := pgtest.Status(t, pgtest.Pgberth(t, "dump", "--from", pgtest.Host(t).URL("postgres"), "--file", path))
	if want := fmt.Sprintf("pgberth: %s is to be in a directory that does not exist; make it first, with mkdir -p\n", path); status != 1 || stderr != want {
		t.Errorf("exit status %d\n%s, want\n%s", status, stderr, want)
	}
}
