package backup_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/pgberth/pgberth/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// event is a line of --json.
type event struct {
	Event, Phase, Object, Message, ID, Database, File, Text, Path string
	Code, Files                                                   int
	Good                                                          bool
	Rows                                                          int64
	Copied, Present, Remedies                                     []string
	Recipients                                                    []string
	Warnings                                                      []struct{ Text string }
}

// pgberth runs the program, and returns its events but for those of its progress.
func pgberth(t testing.TB, status int, args ...string) []event {
	t.Helper()
	got, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, append(args, "--json")...))
	if got != status {
		t.Fatalf("%s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, status, stdout, stderr)
	}
	var events []event
	for line := range strings.Lines(stdout) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if e.Event != "notice" && !strings.HasPrefix(e.Event, "phase_") && !strings.HasPrefix(e.Event, "unit_") {
			events = append(events, e)
		}
	}
	return events
}

func last(events []event) event { return events[len(events)-1] }

// sample is a new database with some of everything that goes its own way into an archive.
func sample(t testing.TB, s *pgtest.Server) string {
	t.Helper()
	db := s.CreateDB(t, "TEMPLATE template0")
	s.Exec(t, db, `
CREATE SCHEMA ledger;
CREATE TABLE ledger.players (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE, joined timestamptz);
CREATE TABLE ledger.entries (id int PRIMARY KEY, player bigint REFERENCES ledger.players, amount numeric(12,2), note text);
CREATE TABLE ledger.rounds (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE ledger.rounds_old PARTITION OF ledger.rounds FOR VALUES FROM (MINVALUE) TO ('2025-01-01');
CREATE TABLE ledger.rounds_new PARTITION OF ledger.rounds FOR VALUES FROM ('2025-01-01') TO (MAXVALUE);
CREATE TABLE ledger.nothing_yet (id int);
INSERT INTO ledger.players (name, joined) SELECT 'player ' || i, '2025-01-01'::timestamptz + i * interval '1 h' FROM generate_series(1, 500) i;
INSERT INTO ledger.entries SELECT i, 1 + i % 500, i / 7.0, md5(i::text) || md5((i + 1)::text) FROM generate_series(1, 40000) i;
INSERT INTO ledger.rounds SELECT i, '2024-01-01'::date + i FROM generate_series(1, 700) i;
CREATE INDEX ON ledger.entries (player);
CREATE VIEW ledger.balances AS SELECT player, sum(amount) FROM ledger.entries GROUP BY player;
CREATE MATERIALIZED VIEW ledger.standings AS SELECT * FROM ledger.balances;
CREATE FUNCTION ledger.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON ledger.players FOR EACH ROW EXECUTE FUNCTION ledger.touch();
SELECT lo_from_bytea(0, convert_to(repeat('large object ' || i, 3000), 'UTF8')) FROM generate_series(1, 5) i`)
	return db
}

// newKey writes the file of a secret key, and returns its name and the public key.
func newKey(t testing.TB) (recipient, file string) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("# a key\n"+key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return key.Recipient().String(), file
}

// restored restores a backup with the program into a new database.
func restored(t testing.TB, s *pgtest.Server, ref, repo string, args ...string) string {
	t.Helper()
	db := pgtest.NewName("restored")
	t.Cleanup(func() { s.DropDB(t, db) })
	pgberth(t, 0, append([]string{"restore", ref, "--repo", repo, "--to", s.URL(db)}, args...)...)
	return db
}

// stockRestored restores an archive with stock pg_restore into a new database.
func stockRestored(t testing.TB, s *pgtest.Server, path string) string {
	t.Helper()
	db := s.CreateDB(t, "TEMPLATE template0")
	if status, stdout, stderr := pgtest.Status(t, s.Client(t, s.Major, db, "pg_restore", "--exit-on-error", "--jobs=2", "--dbname="+db, path)); status != 0 {
		t.Fatalf("pg_restore %s: %s%s", path, stdout, stderr)
	}
	return db
}

// assertSame compares two databases.
func assertSame(t testing.TB, s *pgtest.Server, x, y string) {
	t.Helper()
	status, stdout, stderr := pgtest.Status(t, pgtest.Pgberth(t, "compare", "--from", s.URL(x), "--to", s.URL(y), "--quiet"))
	if status != 0 {
		t.Errorf("%s and %s: status %d\n%s%s", x, y, status, stdout, stderr)
	}
}

// assertNoSessions waits until nobody is connected to a database.
func assertNoSessions(t testing.TB, s *pgtest.Server, db string) {
	t.Helper()
	eventually(t, func() bool {
		return s.Row(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = '"+db+"'") == "0"
	})
}

// eventually waits for what the server does when a client has gone.
func eventually(t testing.TB, is func() bool) {
	t.Helper()
	const deadline = time.Minute
	for end := time.Now().Add(deadline); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it has not come about")
		}
	}
}

// files are all below a directory, by their path in it.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path) // it is below
		found[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
