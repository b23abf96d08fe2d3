package migrate_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/migrate"
	"github.com/pgberth/pgberth/progress"
)

// contents counts all that a database holds, in every catalog, but for the comments of schemas, since that of
// public changes, and of subscriptions, which PostgreSQL forgets to drop. Default privileges stay with roles that
// were there before.
const contents = `
SELECT c.relname, (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM pg_catalog.' || c.relname
	|| CASE c.relname WHEN 'pg_db_role_setting' THEN ' WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())'
		WHEN 'pg_description' THEN ' WHERE classoid NOT IN (2615, 6100)' ELSE '' END, false, true, '')))[1]
FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND NOT c.relisshared
	AND c.relname NOT IN ('pg_default_acl', 'pg_statistic', 'pg_statistic_ext_data', 'pg_init_privs') ORDER BY 1`

// TestInPlaceUndone: a run in place that fails late leaves the database as it was, whatever it had made.
func TestInPlaceUndone(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := pgtest.Menagerie(t, src)
	dst.Exec(t, "postgres", "CREATE DATABASE "+db+" TEMPLATE template0")
	t.Cleanup(func() { dst.DropDB(t, db) })
	before := dst.Rows(t, db, contents)
	opts := options(t, src, dst, db)
	opts.InPlace = true
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	opts.Reporter = onEvent(func(e progress.Event) {
		if start, ok := e.(progress.PhaseStart); ok && start.Phase == progress.Verify {
			cancel(enough)
		}
	})
	if _, err := migrate.Run(ctx, opts); !errors.Is(err, enough) {
		t.Fatalf("cancelled: %v", err)
	} else if strings.Contains(err.Error(), "empty") {
		t.Error(err)
	}
	if diff := cmp.Diff(before, dst.Rows(t, db, contents)); diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
	opts.Reporter = nil
	if _, err := migrate.Run(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
}

// TestInPlaceKilled: the next run says what is the matter, and nothing is taken for done.
func TestInPlaceKilled(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	dst.Exec(t, "postgres", "CREATE DATABASE "+l.db+" TEMPLATE template0")
	p := l.interrupt(t, moment{words: []string{"CREATE INDEX"}}, syscall.SIGKILL, "--in-place")
	if status := p.wait(); status != -1 {
		t.Fatalf("exit status %d\n%s", status, p.said())
	}
	l.assertQuiet(t, p)
	refused(t, command(t, l.args(src.URL(l.db), dst.URL(l.db), "--in-place")...), 1,
		"database "+l.db+": is not empty on the target", "--in-place needs an empty database", "--replace")
	command(t, l.args(src.URL(l.db), dst.URL(l.db), "--replace", "--drop-old")...).must()
	l.assertArrived(t)
}
