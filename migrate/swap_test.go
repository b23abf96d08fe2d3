package migrate_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// small makes a source of one table, and its database's name.
func small(t testing.TB, src, dst *pgtest.Server) string {
	t.Helper()
	db := src.CreateDB(t, "TEMPLATE template0")
	src.Exec(t, db, "CREATE TABLE new (id int); INSERT INTO new VALUES (1)")
	t.Cleanup(func() {
		for _, name := range dst.Rows(t, "postgres", fmt.Sprintf(`SELECT datname FROM pg_database WHERE datname LIKE '%s%%'`, db)) {
			dst.Exec(t, "postgres", fmt.Sprintf(`ALTER DATABASE %q IS_TEMPLATE false`, name))
			dst.DropDB(t, name)
		}
	})
	return db
}

// databasesLike lists the target's databases that have to do with db.
func databasesLike(t testing.TB, s *pgtest.Server, db string) []string {
	t.Helper()
	return s.Rows(t, "postgres", fmt.Sprintf(`SELECT datname FROM pg_database WHERE datname LIKE '%s%%' ORDER BY 1`, db))
}

// TestSessionAtTheSwap: who came after the preflight keeps the old database, or is ended if the user said so.
func TestSessionAtTheSwap(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	for _, disconnect := range []bool{false, true} {
		t.Run(fmt.Sprintf("disconnect=%t", disconnect), func(t *testing.T) {
			db := small(t, src, dst)
			dst.Exec(t, "postgres", "CREATE DATABASE "+db)
			dst.Exec(t, db, "CREATE TABLE old (id int); INSERT INTO old VALUES (42)")
			w := openWire(t, dst)
			var pid string
			w.at(false, []string{"ALTER DATABASE"}, func() {
				session := dst.Connect(t, db)
				if err := session.QueryRow(t.Context(), "SELECT pg_backend_pid()::text").Scan(&pid); err != nil {
					t.Error(err)
				}
			})
			args := []string{"migrate", "--from", src.URL(db), "--to", w.url(t, db), "--replace"}
			if disconnect {
				command(t, append(args, "--disconnect")...).must()
				old := databasesLike(t, dst, db)[1]
				if got := dst.Row(t, old, "SELECT id FROM old"); got != "42" {
					t.Errorf("the old database %s holds %s", old, got)
				}
				return
			}
			refused(t, command(t, args...), 1, "swap: ", "is being accessed by other users", "pid "+pid, "pgtest", "--disconnect")
			if got := dst.Row(t, db, "SELECT id FROM old"); got != "42" {
				t.Errorf("the old database holds %s", got)
			}
			if left := databasesLike(t, dst, db); len(left) != 1 {
				t.Errorf("databases: %v", left)
			}
		})
	}
}

// TestSessionOnTheStagingDatabase: tools that watch a server look into every database.
func TestSessionOnTheStagingDatabase(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := small(t, src, dst)
	w := openWire(t, dst)
	w.at(false, []string{"ANALYZE"}, func() { dst.Connect(t, databasesLike(t, dst, db)[0]) })
	command(t, "migrate", "--from", src.URL(db), "--to", w.url(t, db)).must()
	if got := dst.Row(t, db, "SELECT id FROM new"); got != "1" {
		t.Errorf("the new database holds %s", got)
	}
}

// TestPreparedTransaction: it would keep the old database from being renamed, when all the rows have moved.
func TestPreparedTransaction(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.NewHost(t, "max_prepared_transactions=5")
	db := small(t, src, dst)
	dst.Exec(t, "postgres", "CREATE DATABASE "+db)
	dst.Exec(t, db, "CREATE TABLE old (id int)")
	dst.Exec(t, db, "BEGIN; INSERT INTO old VALUES (42); PREPARE TRANSACTION 'pay day'")
	args := []string{"migrate", "--from", src.URL(db), "--to", dst.URL(db), "--replace", "--disconnect"}
	refused(t, command(t, args...), 1, "1 problem", "database "+db+": holds prepared transactions on the target: 'pay day' of postgres", "ROLLBACK PREPARED")
	dst.Exec(t, db, "COMMIT PREPARED 'pay day'")
	command(t, args...).must()
	if got := dst.Row(t, databasesLike(t, dst, db)[1], "SELECT id FROM old"); got != "42" {
		t.Errorf("the old database holds %s", got)
	}
}

// TestEmptyDatabaseMakesWay, but not if something has come into it.
func TestEmptyDatabaseMakesWay(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	t.Run("empty", func(t *testing.T) {
		db := small(t, src, dst)
		dst.Exec(t, "postgres", "CREATE DATABASE "+db+" IS_TEMPLATE true")
		command(t, "migrate", "--from", src.URL(db), "--to", dst.URL(db)).must()
		if left := databasesLike(t, dst, db); len(left) != 1 {
			t.Errorf("databases: %v", left)
		}
	})
	t.Run("filled before the swap", func(t *testing.T) {
		db := small(t, src, dst)
		dst.Exec(t, "postgres", "CREATE DATABASE "+db)
		w := openWire(t, dst)
		w.at(false, []string{"ANALYZE"}, func() { dst.Exec(t, db, "CREATE TABLE old AS SELECT 42 AS id") })
		refused(t, command(t, "migrate", "--from", src.URL(db), "--to", w.url(t, db)), 1,
			`database "`+db+`" on the target is no longer empty`, "--replace")
		if got := dst.Row(t, db, "SELECT id FROM old"); got != "42" {
			t.Errorf("the old database holds %s", got)
		}
		if left := databasesLike(t, dst, db); len(left) != 1 {
			t.Errorf("databases: %v", left)
		}
	})
	t.Run("filled in the swap", func(t *testing.T) {
		db := small(t, src, dst)
		dst.Exec(t, "postgres", "CREATE DATABASE "+db)
		w := openWire(t, dst)
		w.at(false, []string{"RENAME TO"}, func() { dst.Exec(t, db, "CREATE TABLE old AS SELECT 42 AS id") })
		p := command(t, "migrate", "--from", src.URL(db), "--to", w.url(t, db))
		p.must()
		left := databasesLike(t, dst, db)
		if len(left) != 2 || !strings.Contains(p.said(), "kept as "+left[1]) {
			t.Fatalf("databases: %v\n%s", left, p.said())
		}
		if got := dst.Row(t, left[1], "SELECT id FROM old"); got != "42" {
			t.Errorf("the old database holds %s", got)
		}
		again := command(t, "migrate", "--from", src.URL(db), "--to", dst.URL(db), "--replace", "--drop-old")
		again.must()
		if now := databasesLike(t, dst, db); len(now) != 2 || !strings.Contains(again.said(), "left alone") {
			t.Errorf("databases: %v\n%s", now, again.said())
		}
	})
}

// TestClosedDatabase: what lets nobody in is not known to be empty, and is kept as it is.
func TestClosedDatabase(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := small(t, src, dst)
	dst.Exec(t, "postgres", "CREATE DATABASE "+db)
	dst.Exec(t, db, "CREATE TABLE old AS SELECT 42 AS id")
	dst.Exec(t, "postgres", "ALTER DATABASE "+db+" ALLOW_CONNECTIONS false")
	args := []string{"migrate", "--from", src.URL(db), "--to", dst.URL(db)}
	refused(t, command(t, args...), 1, "database "+db+": is not empty on the target", "--replace")
	command(t, append(args, "--replace")...).must()
	old := databasesLike(t, dst, db)[1]
	if got := dst.Row(t, "postgres", fmt.Sprintf(`SELECT datallowconn FROM pg_database WHERE datname = '%s'`, old)); got != "f" {
		t.Errorf("the old database lets others in: %s", got)
	}
	dst.Exec(t, "postgres", "ALTER DATABASE "+old+" ALLOW_CONNECTIONS true")
	if got := dst.Row(t, old, "SELECT id FROM old"); got != "42" {
		t.Errorf("the old database holds %s", got)
	}
	if got := dst.Row(t, db, "SELECT id FROM new"); got != "1" {
		t.Errorf("the new database holds %s", got)
	}
}

// TestLeftovers: only what a dead run made is dropped.
func TestLeftovers(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := small(t, src, dst)
	keep := map[string]string{ // by how their comment begins
		db + "_x_pgberth_00000001": "",
		db + "_x_pgberth_00000002": "the books of 2019",
		db + "_x_pgberth_0000003":  "pgberth staging database", // a digit less
	}
	drop := map[string]string{
		db + "_y_pgberth_00000001": "pgberth staging database for y, run 00000001",
		db + "_y_pgberth_00000002": "", // a run that died at once
	}
	for name, comment := range keep {
		dst.Exec(t, "postgres", "CREATE DATABASE "+name)
		dst.Exec(t, "postgres", fmt.Sprintf("COMMENT ON DATABASE %s IS '%s'", name, comment))
		dst.Exec(t, name, "CREATE TABLE precious (id int)")
	}
	for name, comment := range drop {
		dst.Exec(t, "postgres", "CREATE DATABASE "+name)
		dst.Exec(t, "postgres", fmt.Sprintf("COMMENT ON DATABASE %s IS '%s'", name, comment))
	}
	p := command(t, "migrate", "--from", src.URL(db), "--to", dst.URL(db))
	p.must()
	left := databasesLike(t, dst, db)
	if len(left) != 1+len(keep) {
		t.Errorf("databases: %v", left)
	}
	for name := range keep {
		if got := dst.Row(t, name, "SELECT count(*) FROM precious"); got != "0" {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name := range drop {
		if !strings.Contains(p.said(), "dropped staging database") || !strings.Contains(p.said(), name) {
			t.Errorf("nothing is said of %s:\n%s", name, p.said())
		}
	}
}

// TestTwoRuns into one name: the second is refused and hurts nobody, nor does it drop the first one's staging database.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db, other := small(t, src, dst), small(t, src, dst)
	w := openWire(t, dst)
	reached, goOn := make(chan struct{}), make(chan struct{})
	w.at(false, []string{"COPY"}, func() { close(reached); <-goOn })
	first := command(t, "migrate", "--from", src.URL(db), "--to", w.url(t, db))
	first.start(nil)
	<-reached
	refused(t, command(t, "migrate", "--from", src.URL(db), "--to", dst.Endpoint(db)), 11, `another pgberth run is filling database "`+db+`"`)
	command(t, "migrate", "--from", src.URL(other), "--to", dst.Endpoint(other)).must()
	if left := databasesLike(t, dst, db); len(left) != 1 || !strings.Contains(left[0], "_pgberth_") {
		t.Errorf("databases: %v, want the first run's staging database", left)
	}
	close(goOn)
	if status := first.wait(); status != 0 {
		t.Errorf("the first run: exit status %d\n%s", status, first.said())
	}
	if got := dst.Row(t, db, "SELECT id FROM new"); got != "1" {
		t.Errorf("the new database holds %s", got)
	}
	// A run that is stopped holds its lock; one that is killed does not.
	w.at(false, []string{"COPY"}, func() { first.signal(syscall.SIGKILL) })
	first = command(t, "migrate", "--from", src.URL(db), "--to", w.url(t, db), "--replace")
	first.start(nil)
	first.wait()
	eventually(t, func() string {
		p := command(t, "migrate", "--from", src.URL(db), "--to", dst.URL(db), "--replace", "--drop-old")
		if status := p.run(); status == 11 {
			return "still locked"
		} else if status != 0 {
			t.Errorf("exit status %d\n%s", status, p.said())
		}
		return ""
	})
}

// TestSameServer copies a database beside itself, in one server.
func TestSameServer(t *testing.T) {
	t.Parallel()
	src := pgtest.Host(t)
	db := small(t, src, src)
	command(t, "migrate", "--from", src.URL(db), "--to", src.URL(db+"_copy")).must()
	if got := src.Row(t, db+"_copy", "SELECT id FROM new"); got != "1" {
		t.Errorf("the copy holds %s", got)
	}
	if got := src.Row(t, db, "SELECT id FROM new"); got != "1" {
		t.Errorf("the source holds %s", got)
	}
}

// TestUndoFails: what a failed run could not take away it names, after the cause.
func TestUndoFails(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	l := newLedger(t, src, dst)
	leftovers := []string{"drop the staging database", "the next run drops it", "drop the roles this run created (" + l.role + ")"}
	for _, interrupt := range []bool{false, true} {
		l.relic(t)
		w := openWire(t, dst)
		p := command(t, l.args(src.URL(l.db), w.url(t, l.db), "--replace")...)
		var failing atomic.Bool
		w.onSQL(func(sql string) func() {
			switch {
			case strings.Contains(sql, "setval") && interrupt:
				failing.Store(true)
				p.signal(syscall.SIGTERM)
				<-w.cancels
			case strings.Contains(sql, "setval"):
				failing.Store(true)
				w.cut()
			case strings.Contains(sql, "DROP ") && failing.Load():
				w.cut()
			}
			return nil
		})
		if !interrupt {
			e := refused(t, p, 1, leftovers...)
			if !strings.HasPrefix(e.Message, "restore SEQUENCE SET") {
				t.Errorf("the message begins otherwise than with its cause: %s", e.Message)
			}
		} else {
			refused(t, p, 130, "interrupted")
			for _, leftover := range leftovers {
				if !strings.Contains(p.said(), leftover) {
					t.Errorf("the interrupted run does not say %q:\n%s", leftover, p.said())
				}
			}
		}
		l.assertQuiet(t, p)
		l.assertRelic(t, l.db)
		command(t, l.args(src.URL(l.db), dst.URL(l.db), "--replace", "--drop-old")...).must()
		if left := l.databases(t); len(left) != 1 {
			t.Errorf("databases: %v", left)
		}
	}
}

// TestRoleMadeMeanwhile by somebody else: it is left alone, and those that are still missing are made.
func TestRoleMadeMeanwhile(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	theirs, ours := role(t, src, "CONNECTION LIMIT 7"), role(t, src, "CONNECTION LIMIT 8")
	db := small(t, src, dst)
	src.Exec(t, db, fmt.Sprintf("GRANT SELECT ON new TO %s, %s", theirs, ours))
	t.Cleanup(func() {
		for _, name := range databasesLike(t, dst, db) {
			dst.DropDB(t, name)
		}
		dst.Exec(t, "postgres", fmt.Sprintf("DROP ROLE IF EXISTS %s, %s", theirs, ours))
	})
	w := openWire(t, dst)
	w.at(false, []string{"CREATE ROLE"}, func() { dst.Exec(t, "postgres", "CREATE ROLE "+theirs+" CONNECTION LIMIT 9") })
	command(t, "migrate", "--from", src.URL(db), "--to", w.url(t, db)).must()
	limits := fmt.Sprintf("SELECT rolconnlimit FROM pg_roles WHERE rolname IN ('%s', '%s') ORDER BY 1", theirs, ours)
	if got := strings.Join(dst.Rows(t, "postgres", limits), ","); got != "8,9" {
		t.Errorf("connection limits of the roles: %s", got)
	}
	if got := dst.Row(t, db, fmt.Sprintf("SELECT has_table_privilege('%s', 'new', 'SELECT'), has_table_privilege('%s', 'new', 'SELECT')", theirs, ours)); got != "t|t" {
		t.Errorf("privileges: %s", got)
	}
}
