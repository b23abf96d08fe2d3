package migrate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/migrate"
)

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// dropLater drops a database of any name when the test ends.
func dropLater(t testing.TB, s *pgtest.Server, db string) {
	t.Cleanup(func() {
		for _, name := range s.Rows(t, "postgres", fmt.Sprintf(`SELECT datname FROM pg_database WHERE datname = '%[1]s' OR datname LIKE '%[1]s\_before\_%%'`,
			strings.ReplaceAll(db, "'", "''"))) {
			s.Exec(t, "postgres", "ALTER DATABASE "+quote(name)+" IS_TEMPLATE false")
			s.DropDB(t, name)
		}
	})
}

// TestHostileSettings: what a database, or a role, is set to must not disturb a copy, and comes along.
func TestHostileSettings(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	all := map[string][]string{
		"read only":      {"SET default_transaction_read_only = on", "SET default_transaction_isolation = serializable", "SET default_transaction_deferrable = on"},
		"timeouts":       {"SET statement_timeout = 200", "SET lock_timeout = 1", "SET idle_in_transaction_session_timeout = 1", "SET idle_session_timeout = 5000"},
		"formats":        {"SET datestyle = 'SQL, DMY'", "SET intervalstyle = 'sql_standard'", "SET timezone = 'Asia/Tokyo'", "SET extra_float_digits = -5", "SET bytea_output = escape", "SET lc_monetary = 'C.UTF-8'", "SET xmlbinary = hex", "SET standard_conforming_strings = off", "SET array_nulls = off", "SET quote_all_identifiers = on", "SET client_encoding = 'LATIN1'"},
		"names":          {"SET search_path = nowhere, public", "SET default_tablespace = ''", "SET row_security = off"},
		"planner":        {"SET enable_seqscan = off", "SET jit = on", "SET work_mem = '64kB'", "SET session_replication_role = replica", "SET check_function_bodies = on", "SET synchronize_seqscans = on", "SET password_encryption = md5"},
		"no connections": {"CONNECTION LIMIT 0"},
		"8 connections":  {"CONNECTION LIMIT 8"},
		"a template":     {"IS_TEMPLATE true"},
	}
	if !pgtest.Soak() { // several at a time: which of them does harm shows in the message
		all = map[string][]string{
			"parameters":     slices.Concat(all["read only"], all["timeouts"], all["formats"], all["names"], all["planner"]),
			"no connections": all["no connections"],
			"a template":     slices.Concat(all["8 connections"], all["a template"]),
		}
	}
	for name, settings := range all {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			db := src.CreateDB(t, "TEMPLATE template0")
			dropLater(t, dst, db)
			src.Exec(t, db, `CREATE FUNCTION slow(int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN IF $1 = 7 THEN PERFORM pg_catalog.pg_sleep(0.4); END IF; RETURN true; END';
				CREATE TABLE t (id int PRIMARY KEY, at timestamptz, f float8, b bytea, x xml, a int[], i interval, m money, s text);
				INSERT INTO t SELECT n, '2024-02-03 04:05:06.789Z'::timestamptz + n * interval '1 hour', n / 7.0, decode('00ff5c', 'hex'), '<a/>', ARRAY[n, NULL], n * interval '1 day 2 seconds', n::money, E'back\\slash' || n
				FROM generate_series(1, 500) n;
				CREATE VIEW v AS SELECT id FROM t WHERE at > '2024-02-03'; CREATE INDEX ON t (s);
				ALTER TABLE t ADD CONSTRAINT patience CHECK (slow(id)) NOT VALID`)
			for _, setting := range settings {
				src.Exec(t, "postgres", "ALTER DATABASE "+db+" "+setting)
			}
			t.Cleanup(func() { src.Exec(t, "postgres", "ALTER DATABASE "+db+" IS_TEMPLATE false") })
			opts := options(t, src, dst, db)
			opts.Verify, opts.Jobs = migrate.VerifyData, 2
			if _, err := migrate.Run(t.Context(), opts); err != nil {
				t.Fatal(err)
			}
			settingsOf := fmt.Sprintf(`SELECT datconnlimit, datistemplate, (SELECT string_agg(c, ';' ORDER BY c) FROM pg_db_role_setting, unnest(setconfig) c WHERE setdatabase = d.oid)
				FROM pg_database d WHERE datname = '%s'`, db)
			want, got := src.Row(t, "postgres", settingsOf), dst.Row(t, "postgres", settingsOf)
			if got != want {
				t.Errorf("settings: %s, want %s", got, want)
			}
			for _, s := range []*pgtest.Server{src, dst} {
				s.Exec(t, "postgres", "ALTER DATABASE "+db+" RESET ALL")
			}
			rows := `SELECT md5(string_agg(t::text, ';' ORDER BY id)) FROM t`
			if want, got := src.Row(t, db, rows), dst.Row(t, db, rows); got != want {
				t.Errorf("rows: %s, want %s", got, want)
			}
		})
	}
}

// TestSetRole: a role that a setting puts in the place of who logs in reads what it may, and fills no target.
func TestSetRole(t *testing.T) {
	t.Parallel()
	src := pgtest.Host(t)
	owner := role(t, src, "")
	db, copied := src.CreateDB(t, "TEMPLATE template0"), pgtest.NewName("copy")
	t.Cleanup(func() { src.DropDB(t, copied) })
	src.Exec(t, db, fmt.Sprintf(`CREATE TABLE t AS SELECT 1 AS id; ALTER DATABASE %s SET role = '%s'`, db, owner))
	args := []string{"migrate", "--from", src.URL(db), "--to", src.URL(copied)}
	e := refused(t, command(t, args...), 1, "table public.t", "role "+owner+" (put in the place of postgres by ALTER DATABASE or ALTER ROLE ... SET role) may not read it")
	if text := e.text(); strings.Count(text, "permission denied") != 1 || strings.Contains(text, "superuser") || !strings.Contains(text, "set PGOPTIONS='-c role=none' to stay role postgres") {
		t.Errorf("what is wrong is said once, with what helps: %s", text)
	}
	e = refused(t, command(t, "compare", "--from", src.URL(db), "--to", src.URL("postgres")), 1, "role "+owner+" (put in the place of postgres by ")
	if text := e.text(); strings.Contains(text, "superuser") || !strings.Contains(text, "set PGOPTIONS='-c role=none' to stay role postgres") {
		t.Errorf("compare: %s", text)
	}
	stayed := command(t, args...)
	stayed.cmd.Env = append(stayed.cmd.Environ(), "PGOPTIONS=-c role=none")
	stayed.must()
	src.DropDB(t, copied)
	conn := src.Connect(t, "postgres")
	if _, err := conn.Exec(t.Context(), "GRANT pg_read_all_data TO "+owner); err != nil {
		t.Fatal(err)
	}
	command(t, args...).must()
	if got := src.Row(t, copied, "SELECT current_user"); got != owner {
		t.Errorf("who logs in is %s, want %s", got, owner)
	}
	src.Exec(t, "postgres", "ALTER DATABASE "+copied+" RESET role")
	if got := src.Row(t, copied, "SELECT id, pg_get_userbyid(relowner) FROM t, pg_class WHERE relname = 't'"); got != "1|postgres" {
		t.Errorf("the target holds %s", got)
	}
}

// TestHostileTarget: settings of the target's role and of the database the run is at home in.
func TestHostileTarget(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := small(t, src, dst)
	user := role(t, dst, "SUPERUSER CONNECTION LIMIT 7")
	for _, setting := range []string{"default_transaction_read_only = on", "statement_timeout = 1", "lock_timeout = 1", "transaction_timeout = 100", "search_path = 'nowhere'",
		"client_encoding = 'LATIN1'", "synchronous_commit = off", "session_replication_role = replica", "default_tablespace = ''", "createrole_self_grant = ''"} {
		dst.Exec(t, "postgres", "ALTER ROLE "+user+" SET "+setting)
	}
	command(t, "migrate", "--from", src.URL(db), "--to", dst.URLAs(user, "x", db), "--jobs", "3").must()
	if got := dst.Row(t, db, "SELECT id FROM new"); got != "1" {
		t.Errorf("the target holds %s", got)
	}
}

// TestHostileNames: names that break what does not quote them.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	unique := strings.TrimPrefix(pgtest.NewName(""), "pgberth_test__")
	names := map[string]string{
		"quotes":     `it's "q" ` + unique,
		"upper case": "Big Name " + unique,
		"newline":    "two\nlines; DROP DATABASE postgres; " + unique,
		"umlauts":    "größe 漢字 " + unique,
		"63 bytes":   strings.Repeat("x", 63-len(unique)) + unique,
		"63 of é":    strings.Repeat("é", (63-len(unique))/2) + unique,
		"signs":      `$x %s \ : = /?#& -- /* ` + unique,
		"all signs":  `It's "q" größe 漢字 $x %s \:=/?#& --/* ` + unique,
	}
	for name, db := range names {
		if !pgtest.Soak() && name != "all signs" && name != "newline" && name != "63 of é" {
			continue // parts of these
		}
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			owner := db[:len(db)-1] + "R"
			dropRole := func(s *pgtest.Server) { s.Exec(t, "postgres", "DROP ROLE IF EXISTS "+quote(owner)) }
			t.Cleanup(func() { dropRole(src); dropRole(dst) })
			src.Exec(t, "postgres", "CREATE ROLE "+quote(owner)+" LOGIN PASSWORD 'x'")
			src.Exec(t, "postgres", "CREATE DATABASE "+quote(db)+" TEMPLATE template0")
			dropLater(t, src, db)
			dropLater(t, dst, db)
			src.Exec(t, db, fmt.Sprintf(`ALTER DATABASE %[1]s OWNER TO %[2]s; ALTER DATABASE %[1]s SET work_mem = '7MB'; COMMENT ON DATABASE %[1]s IS 'é %%s';
				ALTER ROLE %[2]s IN DATABASE %[1]s SET search_path = %[1]s, "a b"; GRANT CREATE ON DATABASE %[1]s TO %[2]s;
				CREATE SCHEMA %[1]s AUTHORIZATION %[2]s; CREATE TABLE %[1]s.%[1]s (%[1]s int PRIMARY KEY); ALTER TABLE %[1]s.%[1]s OWNER TO %[2]s; GRANT SELECT ON %[1]s.%[1]s TO %[2]s;
				INSERT INTO %[1]s.%[1]s SELECT generate_series(1, 100); CREATE SEQUENCE %[1]s."s s"; SELECT nextval(%[3]s);
				COMMENT ON COLUMN %[1]s.%[1]s.%[1]s IS %[4]s`,
				quote(db), quote(owner), "'"+strings.ReplaceAll(quote(db)+`."s s"`, "'", "''")+"'", "'"+strings.ReplaceAll(db, "'", "''")+"'"))
			dst.Exec(t, "postgres", "CREATE DATABASE "+quote(db))
			dst.Exec(t, db, "CREATE TABLE old AS SELECT 42 AS id")
			opts := options(t, src, dst, db)
			opts.Verify, opts.Replace, opts.Jobs = migrate.VerifyData, true, 2
			result, err := migrate.Run(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(db, "\n") { // with which pg_dump --create does not go
				assertSame(t, src, dst, db)
			} else if diff := cmp.Diff(pgtest.Script(src.DumpWith(t, dst.Major, db)), pgtest.Script(dst.Dump(t, db))); diff != "" {
				t.Errorf("source and target differ (-source +target):\n%s", diff)
			}
			if len(result.OldDatabase) > 63 || !strings.Contains(result.OldDatabase, "_before_") {
				t.Errorf("old database %q", result.OldDatabase)
			}
			if got := dst.Row(t, result.OldDatabase, "SELECT id FROM old"); got != "42" {
				t.Errorf("the old database holds %s", got)
			}
			dst.DropDB(t, result.OldDatabase)
		})
	}
}

// TestEncodings: databases whose encoding is not UTF8, with names and values beyond ASCII.
func TestEncodings(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	for _, encoding := range []string{"LATIN1", "SQL_ASCII", "EUC_JP", "WIN1252"} {
		t.Run(encoding, func(t *testing.T) {
			db := src.CreateDB(t, fmt.Sprintf("TEMPLATE template0 ENCODING '%s' LOCALE 'C'", encoding))
			word := map[string]string{"EUC_JP": "日本語"}[encoding]
			if word == "" {
				word = "größe"
			}
			config := src.Config(db)
			config.RuntimeParams["client_encoding"] = "UTF8"
			if encoding == "SQL_ASCII" { // takes any bytes
				word = "gr\xf6\xdfe"
				config.RuntimeParams["client_encoding"] = "SQL_ASCII"
			}
			conn, err := pgx.ConnectConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			if _, err := conn.PgConn().Exec(t.Context(), fmt.Sprintf(`
				CREATE SCHEMA "%[1]s"; CREATE TYPE "%[1]s"."e%[1]s" AS ENUM ('%[1]s');
				CREATE TABLE "%[1]s"."t%[1]s" ("c%[1]s" text PRIMARY KEY, e "%[1]s"."e%[1]s", n int, s text DEFAULT '%[1]s' CHECK (s <> 'x%[1]s'));
				INSERT INTO "%[1]s"."t%[1]s" SELECT '%[1]s' || n, '%[1]s', n FROM generate_series(1, 1000) n;
				COMMENT ON TABLE "%[1]s"."t%[1]s" IS '%[1]s'; COMMENT ON DATABASE %[2]s IS 'kept: %[1]s';
				CREATE SEQUENCE "%[1]s"."s%[1]s"; SELECT nextval('"%[1]s"."s%[1]s"');
				CREATE FUNCTION "f%[1]s"() RETURNS text LANGUAGE sql AS 'SELECT ''%[1]s''::text'`, word, db)).ReadAll(); err != nil {
				t.Fatal(err)
			}
			opts := options(t, src, dst, db)
			opts.Verify, opts.Jobs = migrate.VerifyData, 2
			run(t, dst, opts)
			want, got := src.DumpWith(t, dst.Major, db, "--create"), dst.Dump(t, db, "--create")
			if diff := cmp.Diff(pgtest.Script(want), pgtest.Script(got)); diff != "" {
				t.Errorf("source and target differ (-source +target):\n%s", diff)
			}
		})
	}
}

// TestLocaleOfICU: the libc locale that stands beside it is not taken for one of ICU.
func TestLocaleOfICU(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	if src.Major < 15 {
		return // ICU is for collations only
	}
	db := src.CreateDB(t, "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE-u-co-phonebk' LOCALE 'C.UTF-8'")
	p := command(t, "migrate", "--from", src.URL(db), "--to", dst.URL(db), "--dry-run", "--verbose")
	p.must()
	if strings.Contains(p.said(), "ICU locale") {
		t.Error(p.said())
	}
}

// TestEventTriggers that refuse all DDL, at the source and in the database that makes way.
func TestEventTriggers(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := src.CreateDB(t, "TEMPLATE template0")
	dropLater(t, dst, db)
	const refuse = `CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no DDL here: %', tg_tag; END$$;`
	src.Exec(t, db, refuse+`CREATE TABLE t (id int PRIMARY KEY); CREATE MATERIALIZED VIEW m AS SELECT * FROM t; CREATE MATERIALIZED VIEW empty AS SELECT * FROM m WITH NO DATA;
		CREATE UNLOGGED TABLE u (id int); INSERT INTO u VALUES (1); COMMENT ON FUNCTION refuse() IS 'strict';
		CREATE EVENT TRIGGER first ON ddl_command_start EXECUTE FUNCTION refuse();`)
	src.Exec(t, db, `SET session_replication_role = replica; CREATE EVENT TRIGGER second ON sql_drop EXECUTE FUNCTION refuse();
		COMMENT ON EVENT TRIGGER second IS 'very strict'; ALTER EVENT TRIGGER second ENABLE ALWAYS;
		CREATE EVENT TRIGGER third ON ddl_command_end EXECUTE FUNCTION refuse(); ALTER EVENT TRIGGER third DISABLE`)
	dst.Exec(t, "postgres", "CREATE DATABASE "+db)
	dst.Exec(t, db, refuse+`CREATE EVENT TRIGGER old ON ddl_command_start EXECUTE FUNCTION refuse()`)
	opts := options(t, src, dst, db)
	opts.Replace, opts.DropOld, opts.Verify = true, true, migrate.VerifyData
	run(t, dst, opts)
	triggers := `SELECT evtname, evtevent, evtenabled, evttags, evtowner::regrole, obj_description(oid, 'pg_event_trigger') FROM pg_event_trigger ORDER BY 1`
	if diff := cmp.Diff(src.Rows(t, db, triggers), dst.Rows(t, db, triggers)); diff != "" {
		t.Errorf("event triggers (-source +target):\n%s", diff)
	}
	if got := dst.Row(t, db, `SELECT id FROM u`); got != "1" {
		t.Errorf("the unlogged table holds %s", got)
	}
	if got := dst.Row(t, db, `SELECT string_agg(relname || relispopulated, ',' ORDER BY relname) FROM pg_class WHERE relkind = 'm'`); got != "emptyfalse,mtrue" {
		t.Errorf("materialized views: %s", got)
	}
}

// TestManyTables fits a schema of many tables into a server as it is shipped.
func TestManyTables(t *testing.T) {
	t.Parallel()
	tables, objects := 400, 600
	if pgtest.Soak() {
		tables, objects = 5000, 3000 // more than fit into one transaction
	}
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := src.CreateDB(t, "TEMPLATE template0")
	dropLater(t, dst, db)
	for from := 0; from < tables; from += 200 { // each table takes a few locks
		src.Exec(t, db, fmt.Sprintf(`DO $$ BEGIN FOR n IN %d..%d LOOP
			EXECUTE format('CREATE TABLE t%%s (id serial PRIMARY KEY, note text)', n);
			EXECUTE format('INSERT INTO t%%s (note) VALUES (%%L)', n, n);
		END LOOP; END $$`, from, from+199))
	}
	src.Exec(t, db, fmt.Sprintf(`DO $$ BEGIN FOR n IN 1..%d LOOP PERFORM lo_from_bytea(0, decode(md5(n::text), 'hex')); END LOOP; END $$`, objects))
	opts := options(t, src, dst, db)
	opts.Verify, opts.Jobs = migrate.VerifyData, 2
	result, err := migrate.Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if result.LargeObjects != objects || len(result.Tables) != tables || result.Rows != int64(tables) {
		t.Errorf("%d large objects, %d tables, %d rows", result.LargeObjects, len(result.Tables), result.Rows)
	}
	for _, query := range []string{
		`SELECT count(*), sum(reltuples) FROM pg_class WHERE relname ~ '^t[0-9]+$'`,
		`SELECT count(*) FROM pg_constraint WHERE contype = 'p'`,
		`SELECT md5(string_agg(md5(lo_get(oid)), '' ORDER BY md5(lo_get(oid)))) FROM pg_largeobject_metadata`,
	} {
		if want, got := src.Row(t, db, query), dst.Row(t, db, query); got != want && !strings.Contains(query, "reltuples") {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}
