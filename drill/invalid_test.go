package drill_test

import (
	"strings"
	"testing"

	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

// An index that CREATE INDEX CONCURRENTLY has left is in no dump, and that is not the backup's fault. One of a partitioned table is.
func TestInvalidIndexes(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db := host.CreateDB(t, "TEMPLATE template0")
	host.Exec(t, db, `CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'a'), (1, 'b');
CREATE TABLE p (id int, v text) PARTITION BY RANGE (id); INSERT INTO t VALUES (2, 'c');
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
CREATE INDEX some_have ON ONLY p (v); CREATE INDEX p1_v ON p1 (v); ALTER INDEX some_have ATTACH PARTITION p1_v; COMMENT ON INDEX some_have IS 'half';
CREATE TABLE q (id int) PARTITION BY RANGE (id); CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (10);
CREATE INDEX none_left ON ONLY q (id); ALTER TABLE q DETACH PARTITION q1`)
	conn := host.Connect(t, db)
	if _, err := conn.Exec(t.Context(), "CREATE UNIQUE INDEX CONCURRENTLY failed ON t (id)"); !session.HasCode(err, "23505") {
		t.Fatalf("an index that cannot be unique: %v", err)
	}
	host.Exec(t, db, "COMMENT ON INDEX failed IS 'later'")
	if n := host.Row(t, db, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"); n != "3" {
		t.Fatalf("%s indexes are invalid", n)
	}
	r := run(t, options(dumped(t, host, db)))
	var warnings []string
	for _, c := range r.Checks {
		if c.Status == drill.Warned {
			warnings = append(warnings, c.Problems...)
		}
	}
	if r.Verdict != drill.Passed || len(warnings) != 2 || !strings.Contains(warnings[0], "index public.failed is not there: it was invalid at the source") ||
		warnings[1] != "index public.none_left is valid, and was not at the source" {
		t.Errorf("%s, warnings %q\n%s", r.Verdict, warnings, failures(r))
	}

	// Nor is it the migration's; a comparison names it.
	copied := pgtest.NewName("copied")
	t.Cleanup(func() { host.DropDB(t, copied) })
	if status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, "migrate", "--from", host.Endpoint(db), "--to", host.Endpoint(copied), "--verify=data", "--quiet")); status != 0 {
		t.Fatalf("migrate: status %d\n%s%s", status, stdout, stderr)
	}
	status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, "compare", "--from", host.Endpoint(db), "--to", host.Endpoint(copied), "--quiet"))
	if status != 20 || !strings.Contains(stdout, "index public.failed\n  missing at the target: an invalid index, which pg_dump leaves out") || !strings.Contains(stdout, "2 differences in 2 objects") {
		t.Errorf("compare: status %d\n%s%s", status, stdout, stderr)
	}
}
