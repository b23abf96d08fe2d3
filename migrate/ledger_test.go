package migrate_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// A ledger is a small database with a bit of everything that a run handles in a
// way of its own, and a target that holds something else under the same name.
type ledger struct {
	src, dst *pgtest.Server
	db, role string
	oracle   *pgtest.Oracle // of what the target must become
}

// ledgerSQL is run in the database; %[1]s is the database, %[2]s a role.
const ledgerSQL = `
ALTER DATABASE %[1]s OWNER TO %[2]s;
ALTER DATABASE %[1]s SET work_mem = '8MB';
ALTER ROLE %[2]s IN DATABASE %[1]s SET lock_timeout = '7s';
COMMENT ON DATABASE %[1]s IS 'kept with care';
GRANT CREATE ON DATABASE %[1]s TO %[2]s;
CREATE TYPE side AS ENUM ('debit', 'credit');
CREATE TABLE accounts (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, note jsonb);
CREATE TABLE entries (id bigserial PRIMARY KEY, account bigint NOT NULL REFERENCES accounts, side side NOT NULL,
	amount numeric(12, 2) NOT NULL CHECK (amount > 0), at timestamptz NOT NULL);
CREATE TABLE receipts (entry bigint REFERENCES entries, page int, scan bytea, PRIMARY KEY (entry, page));
INSERT INTO accounts (name, note) SELECT 'account ' || n, jsonb_build_object('n', n) FROM generate_series(1, 500) n;
INSERT INTO entries (account, side, amount, at)
	SELECT 1 + n %% 500, CASE WHEN n %% 2 = 0 THEN 'debit' ELSE 'credit' END::side, 1 + n / 7.0, '2024-02-29 12:00Z'::timestamptz + n * interval '1 minute'
	FROM generate_series(1, 12000) n;
INSERT INTO receipts SELECT n, 1, decode(repeat(md5(n::text), 60), 'hex') FROM generate_series(1, 1500) n;
CREATE INDEX entries_at ON entries (at);
CREATE INDEX entries_account ON entries (account, side);
CREATE MATERIALIZED VIEW balances AS SELECT account, sum(amount) AS total FROM entries GROUP BY account;
CREATE UNIQUE INDEX balances_account ON balances (account);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := now(); RETURN NEW; END';
CREATE TRIGGER entries_stamp BEFORE UPDATE ON entries FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no DDL here'; END$$;
SELECT lo_from_bytea(4000 + n, decode(repeat('ab', 3000 * n), 'hex')) FROM generate_series(1, 5) n;
ALTER TABLE accounts OWNER TO %[2]s;
ALTER LARGE OBJECT 4001 OWNER TO %[2]s;
CREATE EVENT TRIGGER guard ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION refuse();`

// newLedger makes the source. The role and the database of the target go when the test ends.
func newLedger(t testing.TB, src, dst *pgtest.Server) *ledger {
	t.Helper()
	l := &ledger{src: src, dst: dst, role: pgtest.NewName("role")}
	src.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'x' CONNECTION LIMIT 9", l.role))
	t.Cleanup(func() {
		for _, s := range []*pgtest.Server{src, dst} {
			s.Exec(t, "postgres", "DROP ROLE IF EXISTS "+l.role)
		}
	})
	l.db = src.CreateDB(t, "TEMPLATE template0")
	src.Exec(t, l.db, fmt.Sprintf(ledgerSQL, l.db, l.role))
	t.Cleanup(func() {
		for _, db := range l.databases(t) {
			dst.DropDB(t, db)
		}
	})
	return l
}

// relic gives the target a database under the final name that must not be
// lost, and takes away what an earlier run brought.
func (l *ledger) relic(t testing.TB) {
	t.Helper()
	for _, db := range l.databases(t) {
		l.dst.DropDB(t, db)
	}
	l.dst.Exec(t, "postgres", "DROP ROLE IF EXISTS "+l.role)
	l.dst.Exec(t, "postgres", "CREATE DATABASE "+l.db)
	l.dst.Exec(t, l.db, relicSQL)
}

const (
	relicSQL   = `CREATE TABLE relic (word) AS SELECT 'word ' || n FROM generate_series(1, 100) n`
	relicWords = `SELECT word FROM relic ORDER BY word COLLATE "C"`
)

// assertRelic finds the old database whole, under its own name or the name it is kept as.
func (l *ledger) assertRelic(t testing.TB, db string) {
	t.Helper()
	var want []string
	for n := range 100 {
		want = append(want, "word "+itoa(n+1))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, l.dst.Rows(t, db, relicWords)); diff != "" {
		t.Errorf("the old database %s (-want +got):\n%s", db, diff)
	}
}

// assertArrived compares the target with what it must be.
func (l *ledger) assertArrived(t testing.TB) {
	t.Helper()
	if l.oracle == nil {
		stock := l.src.Copy(t, l.db, l.dst)
		l.oracle = pgtest.NewOracle(t, l.src, l.db, l.dst, stock)
		l.dst.DropDB(t, stock) // it would keep the role
	}
	l.oracle.Check(t, l.dst, l.db)
}

// databases of the target that have to do with the ledger.
func (l *ledger) databases(t testing.TB) []string {
	t.Helper()
	return l.dst.Rows(t, "postgres", fmt.Sprintf(`SELECT datname FROM pg_database WHERE datname LIKE '%s%%' ORDER BY 1`, l.db))
}

// hasRole tells whether the role of the source is on the target.
func (l *ledger) hasRole(t testing.TB) bool {
	t.Helper()
	return l.dst.Row(t, "postgres", fmt.Sprintf(`SELECT count(*) FROM pg_roles WHERE rolname = '%s'`, l.role)) == "1"
}

// assertQuiet waits until nothing of a run that has ended is left on either server or on this machine.
func (l *ledger) assertQuiet(t testing.TB, p *process) {
	t.Helper()
	eventually(t, func() string {
		if left := p.sideContainers(); len(left) > 0 {
			return fmt.Sprintf("containers left: %q", left)
		}
		for _, s := range []*pgtest.Server{l.src, l.dst} {
			// Other runs may be going on; those of a run hold its lock, or are in its databases.
			sessions := s.Rows(t, "postgres", fmt.Sprintf(`SELECT pid, datname, application_name, state, query FROM pg_stat_activity
				WHERE application_name IN ('pgberth', 'pg_dump') AND (datname LIKE '%[1]s%%'
					OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = hashtext('%[1]s')::bigint & 4294967295))`, l.db))
			if len(sessions) > 0 {
				return fmt.Sprintf("sessions left on %s: %q", s.Host, sessions)
			}
		}
		for _, s := range []*pgtest.Server{l.src, l.dst} {
			if left := children(t, fmt.Sprintf("port='%d' ", s.Port)); s.Container == "" && len(left) > 0 {
				return fmt.Sprintf("clients left: %q", left)
			}
		}
		return ""
	})
}

// args are the arguments of a migration from and to these endpoints.
func (l *ledger) args(from, to string, more ...string) []string {
	return append([]string{"migrate", "--from", from, "--to", to, "--jobs", "2"}, more...)
}
