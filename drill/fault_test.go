package drill_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/drill"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// shop is the database whose backup is drilled.
const shop = `
CREATE EXTENSION pgberth_test VERSION '1.1';
CREATE SCHEMA shop AUTHORIZATION OWNER;
SET SESSION AUTHORIZATION OWNER; SET search_path = shop;
CREATE TABLE clients (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, state varchar(9) CHECK (state IN ('on', 'off')), since timestamptz DEFAULT now());
INSERT INTO clients (name, state) SELECT 'client ' || i, 'on' FROM generate_series(1, 500) i;
CREATE TABLE orders (id serial PRIMARY KEY, client int NOT NULL CONSTRAINT orders_client REFERENCES clients, total numeric CONSTRAINT fair CHECK (total > 0));
INSERT INTO orders (client, total) SELECT 1 + i % 500, i FROM generate_series(1, 2000) i;
CREATE INDEX orders_client_idx ON orders (client);
CREATE TABLE log (at timestamptz, what text);
INSERT INTO log SELECT now() - i * interval '1 minute', 'event ' || i FROM generate_series(0, 300) i;
CREATE VIEW rich AS SELECT client, sum(total) FROM orders GROUP BY client;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamped BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE POLICY own ON clients USING (name = CURRENT_USER);
CREATE COLLATION nocase (provider = libc, locale = 'C');
GRANT USAGE ON SCHEMA shop TO READER; GRANT SELECT ON orders, rich TO READER;
RESET SESSION AUTHORIZATION;
CREATE FUNCTION shop.halt() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''an event trigger ran''; END';
CREATE EVENT TRIGGER halt ON ddl_command_start EXECUTE FUNCTION shop.halt();
ALTER EVENT TRIGGER halt DISABLE;
CREATE PUBLICATION news FOR TABLE shop.orders; COMMENT ON PUBLICATION news IS 'out';
SELECT lo_from_bytea(7001, 'one'), lo_from_bytea(7002, decode(repeat('ab', 1048576), 'hex')), lo_from_bytea(7003, '');
ALTER EVENT TRIGGER halt ENABLE;
`

// newShop makes the shop on a server, with roles of its own.
func newShop(t testing.TB, s *pgtest.Server) (db, owner, reader string) {
	t.Helper()
	owner, reader = pgtest.NewName("owner"), pgtest.NewName("reader")
	s.Exec(t, "postgres", "CREATE ROLE "+reader+" LOGIN; CREATE ROLE "+owner+" LOGIN CONNECTION LIMIT 9 IN ROLE "+reader)
	db = s.CreateDB(t, "TEMPLATE template0")
	t.Cleanup(func() {
		s.DropDB(t, db)
		s.Exec(t, "postgres", "DROP ROLE "+owner+", "+reader)
	})
	s.Exec(t, db, strings.NewReplacer("OWNER;", owner+";", "AUTHORIZATION OWNER", "AUTHORIZATION "+owner, "READER", reader).Replace(shop))
	return db, owner, reader
}

// faults are what may go wrong with a restored database, how it is undone, the check that must find it, and what it must name.
var faults = []struct{ name, plant, undo, check, names string }{
	{"a table is empty", `TRUNCATE shop.log`, `INSERT INTO shop.log TABLE kept.log`, "row counts", "table shop.log has 0 rows, was 301"},
	{"a row is lost", `DELETE FROM shop.log WHERE what = 'event 7'`, `INSERT INTO shop.log SELECT * FROM kept.log WHERE what = 'event 7'`, "row counts", "table shop.log has 300 rows, was 301"},
	{"a row is there twice", `INSERT INTO shop.log SELECT * FROM shop.log WHERE what = 'event 8'`, `DELETE FROM shop.log WHERE ctid IN (SELECT max(ctid) FROM shop.log WHERE what = 'event 8')`, "row counts", "table shop.log has 302 rows, was 301"},
	{"a value is another", `UPDATE shop.orders SET total = total + 1 WHERE id = 77`, `UPDATE shop.orders SET total = total - 1 WHERE id = 77`, "row hashes", "table shop.orders"},
	{"a table is missing", `ALTER TABLE shop.log RENAME TO gone`, `ALTER TABLE shop.gone RENAME TO log`, "objects", "table shop.log is missing"},
	{"an index is missing", `DROP INDEX shop.orders_client_idx`, `SET ROLE OWNER; CREATE INDEX orders_client_idx ON shop.orders (client)`, "indexes", "index shop.orders_client_idx is missing"},
	{"an index is not valid", `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.orders_client_idx'::regclass`,
		`UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'shop.orders_client_idx'::regclass`, "indexes", "index shop.orders_client_idx is not valid"},
	{"a check is missing", `ALTER TABLE shop.orders DROP CONSTRAINT fair`, `ALTER TABLE shop.orders ADD CONSTRAINT fair CHECK (total > 0)`, "constraints", "table constraint fair on shop.orders is missing"},
	{"a foreign key is not valid", `ALTER TABLE shop.orders DROP CONSTRAINT orders_client; ALTER TABLE shop.orders ADD CONSTRAINT orders_client FOREIGN KEY (client) REFERENCES shop.clients NOT VALID`,
		`ALTER TABLE shop.orders VALIDATE CONSTRAINT orders_client`, "constraints", "table constraint orders_client on shop.orders is not validated"},
	{"a sequence is behind", `SELECT setval('shop.orders_id_seq', 5)`, `SELECT setval('shop.orders_id_seq', 2000)`, "sequences", "sequence shop.orders_id_seq is at 5, was at 2000"},
	{"a sequence gives its value out again", `SELECT setval('shop.orders_id_seq', 2000, false)`, `SELECT setval('shop.orders_id_seq', 2000)`, "sequences", "is behind shop.orders.id"},
	{"a role is missing", `ALTER ROLE READER RENAME TO nobody_else`, `ALTER ROLE nobody_else RENAME TO READER`, "roles", "role READER is missing"},
	{"a role is another", `ALTER ROLE OWNER SUPERUSER`, `ALTER ROLE OWNER NOSUPERUSER`, "roles", "role OWNER is not as it was"},
	{"a membership is missing", `REVOKE READER FROM OWNER`, `GRANT READER TO OWNER`, "roles", "role OWNER is not as it was: GRANT"},
	{"a grant is missing", `REVOKE SELECT ON shop.orders FROM READER`, `GRANT SELECT ON shop.orders TO READER`, "privileges", "table shop.orders: privileges"},
	{"an owner is another", `ALTER TABLE shop.log OWNER TO postgres`, `ALTER TABLE shop.log OWNER TO OWNER`, "owners", "table shop.log: owner is postgres, was OWNER"},
	{"an extension is of another version", `DROP EXTENSION pgberth_test; CREATE EXTENSION pgberth_test VERSION '1.0'`, `DROP EXTENSION pgberth_test; CREATE EXTENSION pgberth_test VERSION '1.1'`,
		"extensions", "extension pgberth_test: version is 1.0, was 1.1"},
	{"a collation is another", `ALTER COLLATION shop.nocase RENAME TO old; CREATE COLLATION shop.nocase (provider = libc, locale = 'C.UTF-8'); ALTER COLLATION shop.nocase OWNER TO OWNER`,
		`DROP COLLATION shop.nocase; ALTER COLLATION shop.old RENAME TO nocase`, "locale", "collation shop.nocase: locale is C.UTF-8, was C"},
	{"the database sorts in another way", `UPDATE pg_database SET datcollate = 'C' WHERE datname = current_database()`, `UPDATE pg_database SET datcollate = 'C.UTF-8' WHERE datname = current_database()`,
		"locale", "collate is C, was C.UTF-8"},
	{"a large object is missing", `SELECT lo_unlink(7001)`, `SELECT lo_from_bytea(7001, 'one')`, "large objects", "large object 7001 is missing"},
	{"a byte of a large object is another", `SELECT lo_put(7002, 1000000, 'x')`, `SELECT lo_put(7002, 1000000, '\xab')`, "large objects", "large object 7002: its bytes"},
	{"a function does something else", `CREATE OR REPLACE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'`,
		`CREATE OR REPLACE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`, "definitions", "function shop.stamp(): definition"},
	{"a trigger is off", `ALTER TABLE shop.orders DISABLE TRIGGER stamped`, `ALTER TABLE shop.orders ENABLE TRIGGER stamped`, "definitions", "trigger stamped on shop.orders: state is disabled"},
	{"a policy is missing", `DROP POLICY own ON shop.clients`, `CREATE POLICY own ON shop.clients USING (name = CURRENT_USER)`, "objects", "policy own on shop.clients is missing"},
	{"a default is missing", `ALTER TABLE shop.clients ALTER since DROP DEFAULT`, `ALTER TABLE shop.clients ALTER since SET DEFAULT now()`, "definitions", "shop.clients.since: default"},
	{"something was added", `CREATE TABLE shop.extra (id int)`, `DROP TABLE shop.extra`, "objects", "table shop.extra was not in the source"},
}

// Every fault is found by its check and named, and no other drill finds anything.
// A check lists so many problems, and counts them all.
func TestManyFaults(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db := host.CreateDB(t, "TEMPLATE template0")
	host.Exec(t, db, `DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('CREATE SEQUENCE s%s; SELECT setval(''s%s'', 7)', i, i); END LOOP; END $$`)
	r := run(t, options(dumped(t, host, db)).WithTamper(func(ctx context.Context, d *drill.Drill) error {
		on(ctx, t, d, `DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('SELECT setval(''s%s'', 3)', i); END LOOP; END $$`)
		return nil
	}))
	for _, c := range r.Checks {
		if c.Name == "sequences" && (c.Found != "60 problems" || len(c.Problems)+c.More != 60 || c.More == 0) {
			t.Errorf("found %s; %d are listed and %d not", c.Found, len(c.Problems), c.More)
		}
	}
	if r.Verdict != drill.Rejected {
		t.Errorf("%s\n%s", r.Verdict, failures(r))
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db, owner, reader := newShop(t, host)
	path := dumped(t, host, db)
	named := strings.NewReplacer("OWNER TO OWNER", "OWNER TO "+owner, "ROLE OWNER", "ROLE "+owner, "role OWNER", "role "+owner, "FROM OWNER", "FROM "+owner, "TO OWNER", "TO "+owner,
		"was OWNER", "was "+owner, "READER", reader)
	o := options(path)
	o.SmokeAs, o.Amcheck = reader, true
	o.Assertions = assertions(t, goodAssertions)
	reported := run(t, o.WithTamper(func(ctx context.Context, d *drill.Drill) error {
		on(ctx, t, d, "CREATE SCHEMA kept; CREATE TABLE kept.log AS TABLE shop.log")
		for _, f := range faults {
			on(ctx, t, d, named.Replace(f.plant))
			d.Set(func(o *drill.Options) { o.SmokeAs, o.Amcheck, o.Assertions = "", false, nil })
			r, err := d.Recheck(ctx)
			if err != nil {
				t.Errorf("%s: %v", f.name, err)
				continue
			}
			if r.Verdict != drill.Rejected || !strings.Contains(failures(r), "\n"+f.check+": ") && !strings.HasPrefix(failures(r), f.check+": ") ||
				!strings.Contains(failures(r), named.Replace(f.names)) {
				t.Errorf("%s: %s, want %s: %s, got\n%s", f.name, r.Verdict, f.check, f.names, failures(r))
			}
			on(ctx, t, d, named.Replace(f.undo))
		}
		on(ctx, t, d, "DROP SCHEMA kept CASCADE")
		d.Set(func(o *drill.Options) { o.RPO = time.Nanosecond })
		if r, err := d.Recheck(ctx); err != nil || !strings.Contains(failures(r), "freshness: the snapshot is of 20") {
			t.Errorf("stale data: %v, %s", err, failures(r))
		}
		d.Set(func(o *drill.Options) {
			o.RPO = 0
			o.SmokeAs, o.Amcheck, o.Assertions = reader, true, assertions(t, goodAssertions)
		})
		return nil
	}))
	if reported.Verdict != drill.Passed {
		t.Errorf("all is undone, and the verdict is %s\n%s", reported.Verdict, failures(reported))
	}
}

// Damage to the files is found before anything is restored.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db, _, _ := newShop(t, host)
	path := dumped(t, host, db)
	files, err := filepath.Glob(filepath.Join(path, "*.dat.*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	victim := files[0]
	whole, err := os.ReadFile(victim)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	folder, err := archive.OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	far := options("")
	far.Backup = drill.Backup{Name: "far", Folder: folder, Fetch: true}
	rejected := func(name string, damage ...string) {
		t.Helper()
		for where, o := range map[string]drill.Options{"here": options(path), "far away": far} {
			r := run(t, o)
			if r.Verdict != drill.Rejected || !strings.HasPrefix(failures(r), "files: ") || r.Server.Kind != "" || r.Backup.Database != db ||
				r.Backup.Rows != 2801 || r.Backup.Tables == 0 || r.RPO.Measured == 0 {
				t.Errorf("%s, %s: %s of %+v %s\n%s", name, where, r.Verdict, r.Backup, r.Reason, failures(r))
			}
			for _, text := range damage {
				if !strings.Contains(failures(r), text) {
					t.Errorf("%s, %s: want %s, got\n%s", name, where, text, failures(r))
				}
			}
		}
	}
	for name, content := range map[string][]byte{"truncated": whole[:len(whole)-3], "a bit is another": flipped, "missing": nil} {
		if content == nil {
			err = os.Remove(victim)
		} else {
			err = os.WriteFile(victim, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		rejected(name, filepath.Base(victim))
	}
	other, toc := files[1], filepath.Join(path, "toc.dat")
	data, err := os.ReadFile(other)
	if err == nil {
		data[len(data)/2] ^= 1
		err = errors.Join(os.WriteFile(victim, whole, 0o600), os.WriteFile(other, data, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Base(other) + " is damaged: wrong checksum"
	rejected("another", bad)
	if err := os.WriteFile(filepath.Join(path, "stranger"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rejected("one too many", bad, "stranger is not part of the archive")
	if err := errors.Join(os.Remove(toc), os.Remove(victim)); err != nil {
		t.Fatal(err)
	}
	rejected("several", bad, filepath.Base(victim)+" is missing; ", "; stranger is not part of the archive", "toc.dat is missing")
}

// A whole archive that does not restore is the backup's fault.
func TestDoesNotRestore(t *testing.T) {
	t.Parallel()
	host := pgtest.Host(t)
	db := host.CreateDB(t, "TEMPLATE template0")
	host.Exec(t, db, `CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO b VALUES (1);
CREATE FUNCTION known(int) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.b WHERE id = $1)';
ALTER TABLE a ADD CHECK (known(id)); INSERT INTO a VALUES (1); DELETE FROM b`)
	r := run(t, options(dumped(t, host, db)))
	if r.Verdict != drill.Rejected || !strings.Contains(failures(r), "restore: ") || !strings.Contains(failures(r), "a_id_check") {
		t.Errorf("%s: %s", r.Verdict, failures(r))
	}
}
