//go:build bench

package bench_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// mixed is a database as applications have them: a wide table with many types
// and four indexes, one with a foreign key to it, and pgbench's accounts.
// About 35 MB for each unit of scale.
func mixed(t *testing.T, s *pgtest.Server, scale int) string {
	db := s.CreateDB(t, "TEMPLATE template0")
	s.Exec(t, db, fmt.Sprintf(`
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, session uuid NOT NULL, amount numeric(12,2),
  score double precision, tags text[], payload jsonb, raw bytea);
INSERT INTO events (at, session, amount, score, tags, payload, raw)
  SELECT timestamptz '2024-01-01' + i * interval '7 s', md5(i::text)::uuid, (i::bigint * 7919 %% 1000003) / 100.0, sqrt(i),
    ARRAY[(ARRAY['bet', 'fold', 'raise', 'call'])[1 + i %% 4], 'table' || i %% 97],
    jsonb_build_object('seat', i %% 9, 'hand', md5((i::bigint * 3)::text), 'stack', i %% 10007), decode(md5((i::bigint * 5)::text), 'hex')
  FROM generate_series(1, %[1]d) i;
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, event_id bigint NOT NULL, placed timestamptz NOT NULL, total numeric(10,2) NOT NULL, note text);
INSERT INTO orders (event_id, placed, total, note)
  SELECT 1 + (i::bigint * 7919) %% %[1]d, timestamptz '2024-02-01' + i * interval '3 s', i %% 9973 / 7.0, 'order ' || md5(i::text) FROM generate_series(1, %[2]d) i;
CREATE TABLE accounts (aid int NOT NULL, bid int, abalance int, filler char(84));
INSERT INTO accounts SELECT i, 1 + (i - 1) / 100000, 0, '' FROM generate_series(1, %[3]d) i;
CREATE TABLE tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
INSERT INTO tellers SELECT i, 1 + i / 10, 0, '' FROM generate_series(1, 10 * %[4]d) i;
ALTER TABLE events ADD PRIMARY KEY (id);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_session ON events (session);
CREATE INDEX events_amount ON events (amount, score);
ALTER TABLE accounts ADD PRIMARY KEY (aid);
ALTER TABLE orders ADD PRIMARY KEY (id);
CREATE INDEX orders_event ON orders (event_id);
ALTER TABLE orders ADD FOREIGN KEY (event_id) REFERENCES events`, scale*50_000, scale*16_667, scale*100_000, scale))
	s.Exec(t, db, "VACUUM ANALYZE")
	return db
}

// oneTable is a database of which one table is nine tenths.
// About 30 MB for each unit of scale.
func oneTable(t *testing.T, s *pgtest.Server, scale int) string {
	db := s.CreateDB(t, "TEMPLATE template0")
	s.Exec(t, db, fmt.Sprintf(`
CREATE TABLE log (id bigint, at timestamptz, kind text, payload jsonb);
INSERT INTO log SELECT i, timestamptz '2024-01-01' + i * interval '7 s', (ARRAY['bet', 'fold', 'raise', 'call'])[1 + i %% 4],
  jsonb_build_object('seat', i %% 9, 'hash', md5(i::text), 'amount', i %% 1000) FROM generate_series(1, %[1]d) i;
CREATE TABLE kinds AS SELECT i AS id, md5(i::text) AS name, md5((i::bigint * 3)::text) AS about FROM generate_series(1, %[2]d) i;
ALTER TABLE log ADD PRIMARY KEY (id);
CREATE INDEX log_at ON log (at);
ALTER TABLE kinds ADD PRIMARY KEY (id)`, scale*200_000, scale*25_000))
	s.Exec(t, db, "VACUUM ANALYZE")
	return db
}

// many is a database of 615 tables, 1,900 relations and few rows.
func many(t *testing.T, s *pgtest.Server) string {
	db := s.CreateDB(t, "TEMPLATE template0")
	var sql strings.Builder
	for i := range 615 {
		fmt.Fprintf(&sql, `CREATE TABLE t%[1]d (id int PRIMARY KEY, name text NOT NULL DEFAULT 'x', at timestamptz, total numeric CHECK (total >= 0));
CREATE INDEX t%[1]d_name ON t%[1]d (name);
COMMENT ON TABLE t%[1]d IS 'table %[1]d';
INSERT INTO t%[1]d SELECT i, md5(i::text), '2024-01-01', i FROM generate_series(1, 20) i;
`, i)
		if i%3 > 0 {
			fmt.Fprintf(&sql, "ALTER TABLE t%[1]d ADD parent int REFERENCES t%[2]d;\nUPDATE t%[1]d SET parent = id;\n", i, i-1)
		}
		if i < 55 {
			fmt.Fprintf(&sql, "CREATE VIEW v%[1]d AS SELECT id, name FROM t%[1]d WHERE total > 3;\n", i)
		}
	}
	s.Exec(t, db, sql.String())
	s.Exec(t, db, "VACUUM ANALYZE")
	return db
}
