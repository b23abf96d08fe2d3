package compare_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgberth/pgberth/compare"
	"github.com/pgberth/pgberth/internal/pgtest"
)

type mutation struct {
	change, undo string
	want         []string
}

// mutations are small changes to the club, what a comparison must say to each,
// no more and no less, and how to undo it.
var mutations = []mutation{
	// The database. DB stands for its name.
	{`ALTER DATABASE DB OWNER TO club_other`, `ALTER DATABASE DB OWNER TO club_owner`, []string{"database DB: owner"}},
	{`ALTER DATABASE DB CONNECTION LIMIT 7`, `ALTER DATABASE DB CONNECTION LIMIT -1`, []string{"database DB: connection limit"}},
	{`COMMENT ON DATABASE DB IS 'other'`, `COMMENT ON DATABASE DB IS 'the club'`, []string{"database DB: comment"}},
	{`ALTER DATABASE DB SET work_mem = '9MB'`, `ALTER DATABASE DB SET work_mem = '8MB'`, []string{"database setting work_mem: value"}},
	{`ALTER ROLE club_owner IN DATABASE DB SET geqo = off`, `ALTER ROLE club_owner IN DATABASE DB RESET geqo`, []string{"database setting geqo for role club_owner: presence"}},
	{`GRANT CREATE ON DATABASE DB TO PUBLIC`, `REVOKE CREATE ON DATABASE DB FROM PUBLIC`, []string{"database DB: privileges"}},

	// Schemas, extensions.
	{`CREATE SCHEMA more`, `DROP SCHEMA more`, []string{"schema more: presence"}},
	{`ALTER SCHEMA club OWNER TO club_other`, `ALTER SCHEMA club OWNER TO club_owner`, []string{"schema club: owner"}},
	{`GRANT CREATE ON SCHEMA public TO club_member`, `REVOKE CREATE ON SCHEMA public FROM club_member`, []string{"schema public: privileges"}},
	{`CREATE EXTENSION pg_trgm`, `DROP EXTENSION pg_trgm`, []string{"extension pg_trgm: presence"}},
	{`ALTER EXTENSION hstore SET SCHEMA club`, `ALTER EXTENSION hstore SET SCHEMA public`, []string{"extension hstore: schema"}},
	{`ALTER EXTENSION hstore ADD TABLE club.scratch`, `ALTER EXTENSION hstore DROP TABLE club.scratch`,
		[]string{"member of extension table club.scratch: presence", "table club.scratch: presence"}},
	{`GRANT EXECUTE ON FUNCTION public.hstore(text, text) TO club_member`, `REVOKE EXECUTE ON FUNCTION public.hstore(text, text) FROM club_member`,
		[]string{"function public.hstore(text,text): privileges"}},
	{`REVOKE SELECT ON pg_authid FROM club_member`, `GRANT SELECT ON pg_authid TO club_member`, []string{"table pg_catalog.pg_authid: privileges"}},
	{`ALTER FUNCTION club.worth(club.chips) NO DEPENDS ON EXTENSION citext`, `ALTER FUNCTION club.worth(club.chips) DEPENDS ON EXTENSION citext`,
		[]string{"function club.worth(club.chips): depends on extensions"}},

	// Types.
	{`ALTER TYPE club.suit RENAME VALUE 'clubs' TO 'x'; ALTER TYPE club.suit RENAME VALUE 'diamonds' TO 'clubs'; ALTER TYPE club.suit RENAME VALUE 'x' TO 'diamonds'`,
		`ALTER TYPE club.suit RENAME VALUE 'clubs' TO 'x'; ALTER TYPE club.suit RENAME VALUE 'diamonds' TO 'clubs'; ALTER TYPE club.suit RENAME VALUE 'x' TO 'diamonds'`,
		[]string{"type club.suit: labels", "table club.hands: rows"}},
	{`ALTER TYPE club.suit OWNER TO club_other`, `ALTER TYPE club.suit OWNER TO club_owner`, []string{"type club.suit: owner"}},
	{`GRANT USAGE ON TYPE club.suit TO club_member; REVOKE USAGE ON TYPE club.suit FROM PUBLIC`, `GRANT USAGE ON TYPE club.suit TO PUBLIC; REVOKE USAGE ON TYPE club.suit FROM club_member`, []string{"type club.suit: privileges"}},
	{`ALTER DOMAIN club.stake SET NOT NULL`, `ALTER DOMAIN club.stake DROP NOT NULL`, []string{"type club.stake: not null"}},
	{`ALTER DOMAIN club.stake SET DEFAULT 2`, `ALTER DOMAIN club.stake SET DEFAULT 1`, []string{"type club.stake: default"}},
	{`ALTER DOMAIN club.stake ADD CONSTRAINT small CHECK (VALUE < 1000000)`, `ALTER DOMAIN club.stake DROP CONSTRAINT small`, []string{"domain constraint small on club.stake: presence"}},
	{`ALTER TYPE club.chips ADD ATTRIBUTE size int`, `ALTER TYPE club.chips DROP ATTRIBUTE size`, []string{"composite type column club.chips.size: presence"}},
	{`COMMENT ON TYPE club.stakes IS 'range'`, `COMMENT ON TYPE club.stakes IS NULL`, []string{"type club.stakes: comment"}},
	{`CREATE TYPE club.wide AS RANGE (subtype = int)`, `DROP TYPE club.wide`, []string{"type club.wide: presence"}},

	// Tables.
	{`CREATE TABLE club.extra (id serial PRIMARY KEY); COMMENT ON COLUMN club.extra.id IS 'x'`, `DROP TABLE club.extra`, []string{"table club.extra: presence"}},
	{`ALTER TABLE club.games OWNER TO club_other`, `ALTER TABLE club.games OWNER TO club_owner`, []string{"table club.games: owner", "sequence club.games_id_seq: owner"}},
	{`ALTER TABLE club.scratch SET LOGGED`, `ALTER TABLE club.scratch SET UNLOGGED`, []string{"table club.scratch: persistence"}},
	{`ALTER TABLE club.players SET (fillfactor = 80)`, `ALTER TABLE club.players SET (fillfactor = 90)`, []string{"table club.players: options"}},
	{`ALTER TABLE club.players RESET (toast.autovacuum_enabled)`, `ALTER TABLE club.players SET (toast.autovacuum_enabled = off)`, []string{"table club.players: toast options"}},
	{`ALTER TABLE club.games REPLICA IDENTITY FULL`, `ALTER TABLE club.games REPLICA IDENTITY DEFAULT`, []string{"table club.games: replica identity"}},
	{`ALTER TABLE club.players REPLICA IDENTITY USING INDEX players_pkey`, `ALTER TABLE club.players REPLICA IDENTITY USING INDEX players_name_key`,
		[]string{"index club.players_name_key: replica identity", "index club.players_pkey: replica identity"}},
	{`ALTER TABLE club.players FORCE ROW LEVEL SECURITY`, `ALTER TABLE club.players NO FORCE ROW LEVEL SECURITY`, []string{"table club.players: forced row security"}},
	{`ALTER TABLE club.players DISABLE ROW LEVEL SECURITY`, `ALTER TABLE club.players ENABLE ROW LEVEL SECURITY`, []string{"table club.players: row security"}},
	{`ALTER TABLE club.scratch INHERIT club.nothing`, `ALTER TABLE club.scratch NO INHERIT club.nothing`, []string{"table club.scratch: parents"}},
	{`ALTER TABLE club.scratch SET ACCESS METHOD club_heap`, `ALTER TABLE club.scratch SET ACCESS METHOD heap`, []string{"table club.scratch: access method"}},
	{`ALTER TABLE club.spread DETACH PARTITION club.spread_1; ALTER TABLE club.spread ATTACH PARTITION club.spread_1 FOR VALUES FROM (1) TO (11)`,
		`ALTER TABLE club.spread DETACH PARTITION club.spread_1; ALTER TABLE club.spread ATTACH PARTITION club.spread_1 FOR VALUES FROM (1) TO (10)`,
		[]string{"table club.spread_1: partition bound"}},
	{`DROP TABLE club.spread; CREATE TABLE club.spread (n int) PARTITION BY LIST (n)`, `DROP TABLE club.spread; CREATE TABLE club.spread (n int) PARTITION BY RANGE (n);
		CREATE TABLE club.spread_1 PARTITION OF club.spread FOR VALUES FROM (1) TO (10); ALTER TABLE club.spread OWNER TO club_owner; ALTER TABLE club.spread_1 OWNER TO club_owner;
		GRANT SELECT ON club.spread, club.spread_1 TO club_member`,
		[]string{"table club.spread: owner", "table club.spread: partition key", "table club.spread: privileges", "table club.spread_1: presence"}},
	{`COMMENT ON TABLE club.players IS NULL`, `COMMENT ON TABLE club.players IS 'who plays'`, []string{"table club.players: comment"}},
	{`REVOKE GRANT OPTION FOR SELECT ON club.players FROM club_member`, `GRANT SELECT ON club.players TO club_member WITH GRANT OPTION`, []string{"table club.players: privileges"}},
	{`ALTER DEFAULT PRIVILEGES FOR ROLE club_owner IN SCHEMA club GRANT INSERT ON TABLES TO club_member`,
		`ALTER DEFAULT PRIVILEGES FOR ROLE club_owner IN SCHEMA club REVOKE INSERT ON TABLES FROM club_member`,
		[]string{"default acl for role club_owner in schema club on tables: privileges"}},
	{`ALTER DEFAULT PRIVILEGES FOR ROLE club_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC`,
		`ALTER DEFAULT PRIVILEGES FOR ROLE club_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`,
		[]string{"default acl for role club_owner on functions: privileges"}},

	// Columns.
	{`ALTER TABLE club."Odd; ""table""
" ALTER "a ""b""" TYPE bigint`, `ALTER TABLE club."Odd; ""table""
" ALTER "a ""b""" TYPE int`, []string{`table column club."Odd; ""table""
"."a ""b""": type`}},
	{`ALTER TABLE club.players ALTER note TYPE text COLLATE "POSIX"`, `ALTER TABLE club.players ALTER note TYPE text COLLATE "C", ALTER note SET STORAGE external`,
		[]string{"table column club.players.note: collation", "table column club.players.note: storage"}},
	{`ALTER TABLE club.games ALTER player DROP NOT NULL`, `ALTER TABLE club.games ALTER player SET NOT NULL`, []string{"table column club.games.player: not null"}},
	{`ALTER TABLE club.players ALTER lucky SET DEFAULT 'spades'`, `ALTER TABLE club.players ALTER lucky SET DEFAULT 'hearts'`, []string{"table column club.players.lucky: default"}},
	{`ALTER TABLE club.players ALTER id SET GENERATED ALWAYS`, `ALTER TABLE club.players ALTER id SET GENERATED BY DEFAULT`, []string{"table column club.players.id: identity"}},
	{`ALTER TABLE club.players ALTER double_bank DROP EXPRESSION`,
		`ALTER TABLE club.players DROP double_bank, ADD double_bank numeric GENERATED ALWAYS AS (bank * 2) STORED, ADD note2 text COLLATE "C";
		 ALTER TABLE club.players ALTER note2 SET STORAGE external; UPDATE club.players SET note2 = note; ALTER TABLE club.players DROP note;
		 ALTER TABLE club.players RENAME note2 TO note`,
		[]string{"table column club.players.double_bank: generated", "table column club.players.double_bank: generation expression"}},
	{`ALTER TABLE club.players ALTER name SET STORAGE main`, `ALTER TABLE club.players ALTER name SET STORAGE extended`, []string{"table column club.players.name: storage"}},
	{`ALTER TABLE club.players ALTER name SET COMPRESSION pglz`, `ALTER TABLE club.players ALTER name SET COMPRESSION default`, []string{"table column club.players.name: compression"}},
	{`ALTER TABLE club.players ALTER name SET STATISTICS 20`, `ALTER TABLE club.players ALTER name SET STATISTICS 300`, []string{"table column club.players.name: statistics target"}},
	{`ALTER TABLE club.players ALTER bank RESET (n_distinct)`, `ALTER TABLE club.players ALTER bank SET (n_distinct = 5)`, []string{"table column club.players.bank: options"}},
	{`COMMENT ON COLUMN club.players.nick IS 'other'`, `COMMENT ON COLUMN club.players.nick IS 'case does not matter'`, []string{"table column club.players.nick: comment"}},
	{`REVOKE UPDATE (nick) ON club.players FROM club_member`, `GRANT UPDATE (nick) ON club.players TO club_member`, []string{"table column club.players.nick: privileges"}},
	{`ALTER TABLE club.scratch ADD extra int`, `ALTER TABLE club.scratch DROP extra`, []string{"table column club.scratch.extra: presence"}},
	{`ALTER TABLE club.scratch RENAME id TO number`, `ALTER TABLE club.scratch RENAME number TO id`,
		[]string{"table column club.scratch.id: presence", "table column club.scratch.number: presence"}},
	{`ALTER TABLE club.pairs RENAME a TO x; ALTER TABLE club.pairs RENAME b TO a; ALTER TABLE club.pairs RENAME x TO b`,
		`ALTER TABLE club.pairs RENAME a TO x; ALTER TABLE club.pairs RENAME b TO a; ALTER TABLE club.pairs RENAME x TO b`, []string{"table club.pairs: column order"}},

	// Constraints and indexes.
	{`ALTER TABLE club.games VALIDATE CONSTRAINT fair`, `ALTER TABLE club.games DROP CONSTRAINT fair; ALTER TABLE club.games ADD CONSTRAINT fair CHECK (result < 1e9) NOT VALID`,
		[]string{"table constraint fair on club.games: definition", "table constraint fair on club.games: validated"}},
	{`ALTER TABLE club.games ALTER CONSTRAINT games_player DEFERRABLE`, `ALTER TABLE club.games ALTER CONSTRAINT games_player NOT DEFERRABLE`, []string{"table constraint games_player on club.games: definition"}},
	{`ALTER TABLE club.players DROP CONSTRAINT born_late`, `ALTER TABLE club.players ADD CONSTRAINT born_late CHECK (born > '1900-01-01');
		COMMENT ON CONSTRAINT born_late ON club.players IS 'nobody is that old'`, []string{"table constraint born_late on club.players: presence"}},
	{`COMMENT ON CONSTRAINT born_late ON club.players IS NULL`, `COMMENT ON CONSTRAINT born_late ON club.players IS 'nobody is that old'`, []string{"table constraint born_late on club.players: comment"}},
	{`DROP INDEX club.players_lower`, `CREATE INDEX players_lower ON club.players (lower(name)) WHERE bank > 1; ALTER INDEX club.players_lower ALTER COLUMN 1 SET STATISTICS 200`,
		[]string{"index club.players_lower: presence"}},
	{`ALTER INDEX club.players_lower ALTER COLUMN 1 SET STATISTICS 100`, `ALTER INDEX club.players_lower ALTER COLUMN 1 SET STATISTICS 200`, []string{"index club.players_lower: statistics targets"}},
	{`ALTER TABLE club.players SET WITHOUT CLUSTER`, `ALTER TABLE club.players CLUSTER ON players_born`, []string{"index club.players_born: cluster mark"}},
	{`ALTER INDEX club.players_born SET (fillfactor = 70)`, `ALTER INDEX club.players_born RESET (fillfactor)`, []string{"index club.players_born: definition"}},
	{`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'club.players_born'::regclass`, `UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'club.players_born'::regclass`,
		[]string{"index club.players_born: valid"}},
	{`ALTER STATISTICS club.players_stats SET STATISTICS 50`, `ALTER STATISTICS club.players_stats SET STATISTICS -1`, []string{"statistics object club.players_stats: statistics target"}},
	{`DROP STATISTICS club.players_stats`, `CREATE STATISTICS club.players_stats (dependencies) ON born, bank FROM club.players; ALTER STATISTICS club.players_stats OWNER TO club_owner`,
		[]string{"statistics object club.players_stats: presence"}},

	// Views.
	{`CREATE OR REPLACE VIEW club.rich WITH (security_barrier) AS SELECT p.id, p.name FROM club.players p WHERE p.bank > 101`,
		`CREATE OR REPLACE VIEW club.rich WITH (security_barrier) AS SELECT p.id, p.name FROM club.players p WHERE p.bank > 100`, []string{"view club.rich: definition"}},
	{`ALTER VIEW club.rich RESET (security_barrier)`, `ALTER VIEW club.rich SET (security_barrier)`, []string{"view club.rich: options"}},
	{`ALTER VIEW club.rich ALTER name SET DEFAULT 'x'`, `ALTER VIEW club.rich ALTER name DROP DEFAULT`, []string{"view column club.rich.name: default"}},
	{`REFRESH MATERIALIZED VIEW club.ranking WITH NO DATA`, `REFRESH MATERIALIZED VIEW club.ranking`, []string{"materialized view club.ranking: populated"}},
	{`REFRESH MATERIALIZED VIEW club.unfilled`, `REFRESH MATERIALIZED VIEW club.unfilled WITH NO DATA`, []string{"materialized view club.unfilled: populated"}},

	// Routines.
	{`CREATE OR REPLACE FUNCTION club.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'`,
		`CREATE OR REPLACE FUNCTION club.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`, []string{"function club.stamp(): definition"}},
	{`ALTER FUNCTION club.stamp() SECURITY DEFINER`, `ALTER FUNCTION club.stamp() SECURITY INVOKER`, []string{"function club.stamp(): definition"}},
	{`ALTER FUNCTION club.stamp() SET work_mem = '1MB'`, `ALTER FUNCTION club.stamp() RESET ALL`, []string{"function club.stamp(): definition"}},
	{`ALTER FUNCTION club.stamp() OWNER TO club_other`, `ALTER FUNCTION club.stamp() OWNER TO club_owner`, []string{"function club.stamp(): owner"}},
	{`GRANT EXECUTE ON FUNCTION club.worth(club.chips) TO PUBLIC`, `REVOKE EXECUTE ON FUNCTION club.worth(club.chips) FROM PUBLIC`, []string{"function club.worth(club.chips): privileges"}},
	{`ALTER PROCEDURE club.shuffle SET geqo = off`, `ALTER PROCEDURE club.shuffle RESET ALL`, []string{"procedure club.shuffle(integer): definition"}},
	{`CREATE OR REPLACE AGGREGATE club.total(numeric) (sfunc = numeric_add, stype = numeric, initcond = '1')`,
		`CREATE OR REPLACE AGGREGATE club.total(numeric) (sfunc = numeric_add, stype = numeric, initcond = '0')`, []string{"aggregate club.total(numeric): initial value"}},

	// Triggers, rules, policies.
	{`ALTER TABLE club.players DISABLE TRIGGER players_stamp`, `ALTER TABLE club.players ENABLE TRIGGER players_stamp`, []string{"trigger players_stamp on club.players: state"}},
	{`ALTER TABLE club.results_2023 DISABLE TRIGGER results_stamp`, `ALTER TABLE club.results_2023 ENABLE TRIGGER results_stamp`, []string{"trigger results_stamp on club.results_2023: state"}},
	{`DROP TRIGGER players_stamp ON club.players`, `CREATE TRIGGER players_stamp BEFORE UPDATE ON club.players FOR EACH ROW EXECUTE FUNCTION club.stamp()`, []string{"trigger players_stamp on club.players: presence"}},
	{`ALTER EVENT TRIGGER watch DISABLE`, `ALTER EVENT TRIGGER watch ENABLE`, []string{"event trigger watch: state"}},
	{`ALTER TABLE club.games DISABLE RULE no_delete`, `ALTER TABLE club.games ENABLE RULE no_delete`, []string{"rule no_delete on club.games: state"}},
	{`ALTER POLICY own ON club.players USING (name <> CURRENT_USER)`, `ALTER POLICY own ON club.players USING (name = CURRENT_USER)`, []string{"policy own on club.players: using"}},
	{`ALTER POLICY own ON club.players TO PUBLIC`, `ALTER POLICY own ON club.players TO club_member`, []string{"policy own on club.players: roles"}},

	// Sequences.
	{`SELECT setval('club.ticket', 200)`, `SELECT setval('club.ticket', 100)`, []string{"sequence club.ticket: last value"}},
	{`SELECT setval('club.ticket', 100, false)`, `SELECT setval('club.ticket', 100)`, []string{"sequence club.ticket: is called"}},
	{`ALTER SEQUENCE club.ticket INCREMENT 6`, `ALTER SEQUENCE club.ticket INCREMENT 5`, []string{"sequence club.ticket: increment"}},
	{`ALTER SEQUENCE club.games_id_seq OWNED BY NONE`, `ALTER SEQUENCE club.games_id_seq OWNED BY club.games.id`, []string{"sequence club.games_id_seq: owned by"}},
	{`SELECT setval('club.players_id_seq', 1000)`, `SELECT setval('club.players_id_seq', 200)`, []string{"sequence club.players_id_seq: last value"}},

	// Everything else.
	{`ALTER OPERATOR club.=== (club.suit, club.suit) SET (RESTRICT = eqsel)`, `ALTER OPERATOR club.=== (club.suit, club.suit) SET (RESTRICT = NONE)`, []string{"operator club.===(club.suit,club.suit): restriction estimator"}},
	{`DROP OPERATOR FAMILY club.suits USING btree`, `CREATE OPERATOR FAMILY club.suits USING btree`, []string{"operator family club.suits USING btree: presence"}},
	{`DROP CAST (club.chips AS numeric)`, `CREATE CAST (club.chips AS numeric) WITH FUNCTION club.worth(club.chips) AS ASSIGNMENT`, []string{"cast (club.chips AS numeric): presence"}},
	{`ALTER CONVERSION club.latin OWNER TO club_other`, `ALTER CONVERSION club.latin OWNER TO postgres`, []string{"conversion club.latin: owner"}},
	{`ALTER COLLATION club.loose OWNER TO club_other`, `ALTER COLLATION club.loose OWNER TO club_owner`, []string{"collation club.loose: owner"}},
	{`ALTER TEXT SEARCH DICTIONARY club.words (STOPWORDS = german)`, `ALTER TEXT SEARCH DICTIONARY club.words (STOPWORDS = english)`, []string{"text search dictionary club.words: options"}},
	{`ALTER TEXT SEARCH CONFIGURATION club.search ALTER MAPPING FOR asciiword WITH simple`, `ALTER TEXT SEARCH CONFIGURATION club.search ALTER MAPPING FOR asciiword WITH club.words, simple`, []string{"text search configuration club.search: mappings"}},
	{`ALTER LANGUAGE club_sql OWNER TO club_owner`, `ALTER LANGUAGE club_sql OWNER TO postgres`, []string{"language club_sql: owner"}},
	{`DROP ACCESS METHOD club_heap`, `CREATE ACCESS METHOD club_heap TYPE TABLE HANDLER heap_tableam_handler`, []string{"access method club_heap: presence"}},
	{`ALTER FOREIGN DATA WRAPPER post OPTIONS (SET debug 'no')`, `ALTER FOREIGN DATA WRAPPER post OPTIONS (SET debug 'yes')`, []string{"foreign-data wrapper post: options"}},
	{`ALTER SERVER casino VERSION '2'`, `ALTER SERVER casino VERSION '1'`, []string{"server casino: version"}},
	{`REVOKE USAGE ON FOREIGN SERVER casino FROM club_member`, `GRANT USAGE ON FOREIGN SERVER casino TO club_member`, []string{"server casino: privileges"}},
	{`ALTER USER MAPPING FOR club_member SERVER casino OPTIONS (SET password 'secret two')`, `ALTER USER MAPPING FOR club_member SERVER casino OPTIONS (SET password 'secret one')`, []string{"user mapping club_member on server casino: options"}},
	{`ALTER FOREIGN TABLE club.abroad ALTER id OPTIONS (SET key 'no')`, `ALTER FOREIGN TABLE club.abroad ALTER id OPTIONS (SET key 'yes')`, []string{"foreign table column club.abroad.id: options of the foreign column"}},
	{`ALTER PUBLICATION news SET (publish = 'insert')`, `ALTER PUBLICATION news SET (publish = 'insert, update')`, []string{"publication news: updates"}},
	{`ALTER PUBLICATION news DROP TABLE club.games`, `ALTER PUBLICATION news ADD TABLE club.games`, []string{"publication relation club.games in publication news: presence"}},
	{`ALTER PUBLICATION news SET TABLE club.players WHERE (id > 0), club.games`, `ALTER PUBLICATION news SET TABLE club.players, club.games`, []string{"publication relation club.players in publication news: row filter"}},
	{`ALTER SUBSCRIPTION feed CONNECTION 'host=/nowhere password=secret-three'`, `ALTER SUBSCRIPTION feed CONNECTION 'host=/nowhere password=secret-two'`, []string{"subscription feed: connection string"}},

	// Large objects.
	{`SELECT lo_create(4003)`, `SELECT lo_unlink(4003)`, []string{"large object 4003: presence"}},
	{`SELECT lo_put(4002, 2000000, 'x')`, `SELECT lo_put(4002, 2000000, substr(convert_to(repeat('chips ', 400000), 'UTF8'), 2000001, 1))`, []string{"large object 4002: contents"}},
	{`SELECT lo_put(4001, 9, '!')`, `SELECT lo_truncate(lo_open(4001, 131072), 9)`, []string{"large object 4001: contents", "large object 4001: size"}},
	{`ALTER LARGE OBJECT 4001 OWNER TO club_other`, `ALTER LARGE OBJECT 4001 OWNER TO club_owner`, []string{"large object 4001: owner"}},
	{`REVOKE SELECT ON LARGE OBJECT 4001 FROM club_member`, `GRANT SELECT ON LARGE OBJECT 4001 TO club_member`, []string{"large object 4001: privileges"}},
	{`COMMENT ON LARGE OBJECT 4001 IS NULL`, `COMMENT ON LARGE OBJECT 4001 IS 'the first'`, []string{"large object 4001: comment"}},

	// Rows.
	{`UPDATE club.games SET result = result + 1e-9 WHERE id = 1`, `UPDATE club.games SET result = sqrt(id) WHERE id = 1`, []string{"table club.games: rows"}},
	{`INSERT INTO club.scratch VALUES (NULL)`, `DELETE FROM club.scratch`, []string{"table club.scratch: row count"}},
	{`INSERT INTO club.nothing DEFAULT VALUES`, `DELETE FROM club.nothing WHERE ctid = '(0,2)'`, []string{"table club.nothing: row count"}},
	{`UPDATE club.players SET note = '' WHERE id = 5`, `UPDATE club.players SET note = 'nnnnn' WHERE id = 5`, []string{"table club.players: rows"}},
	{`UPDATE club."Odd; ""table""
" SET "c, d" = E'tab\t, newline\n, backslash '`, `UPDATE club."Odd; ""table""
" SET "c, d" = E'tab\t, newline\n, backslash \\'`, []string{"table club.\"Odd; \"\"table\"\"\n\": rows"}},
	{`UPDATE club.results SET won = -1 WHERE game = 1`, `UPDATE club.results SET won = 1 WHERE game = 1`, []string{"table club.results_2023: rows"}},
	{`UPDATE club.hands SET n = -1 WHERE n = 1`, `UPDATE club.hands SET n = 1 WHERE n = -1`, []string{"table club.hands: rows"}},
	{`UPDATE ONLY club.event SET late = NULL`, `UPDATE ONLY club.event SET late = false`, []string{"table club.event: rows"}},

	// What makes no difference: where rows lie, dropped columns, settings that change how values look, temporary tables.
	{`UPDATE club.players SET note = note; ALTER TABLE club.scratch ADD x int; ALTER TABLE club.scratch DROP x; ANALYZE club.players`, ``, []string{}},
	{`ALTER ROLE postgres SET TimeZone = 'Asia/Tokyo'; ALTER ROLE postgres SET DateStyle = 'German'; ALTER ROLE postgres SET bytea_output = 'escape'; ALTER ROLE postgres SET extra_float_digits = -3`,
		`ALTER ROLE postgres RESET ALL`, []string{}},
}

// groups are the mutations one by one where there is time, or else several at once, from here and there in the
// list: neighbours may be about the same object.
func groups(soak bool) [][]mutation {
	n := len(mutations)
	if !soak {
		n = (len(mutations) + 4) / 5
	}
	list := make([][]mutation, n)
	for i, m := range mutations {
		list[i%n] = append(list[i%n], m)
	}
	return list
}

func TestMutations(t *testing.T) {
	host := pgtest.Host(t)
	if host.Major < 15 {
		t.Skipf("the changes are made on 15 or later, not on %d", host.Major)
	}
	from, to := club(t, host), club(t, host)
	soak := pgtest.Soak()
	compared := func() []string {
		report := run(t, host.URL(from), host.URL(to), compare.Options{Jobs: 1})
		if strings.Contains(fmt.Sprint(report), "secret") {
			t.Errorf("a password is shown: %v", report.Differences)
		}
		found := where(report)
		for i := range found {
			found[i] = strings.ReplaceAll(found[i], from, "DB")
		}
		return found
	}
	if found := compared(); len(found) > 0 {
		t.Fatalf("two databases made alike differ: %q", found)
	}
	session := host.Connect(t, to)
	change := func(sql string) {
		t.Helper()
		if _, err := session.PgConn().Exec(t.Context(), strings.ReplaceAll(sql, "DB", to)).ReadAll(); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, group := range groups(soak) {
		var changes, want []string
		for _, m := range group {
			changes, want = append(changes, m.change), append(want, m.want...)
			change(m.change)
		}
		found := compared()
		if len(group) > 1 {
			slices.Sort(want)
			want = slices.Compact(want)
			slices.Sort(found)
		}
		if diff := cmp.Diff(want, found, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", strings.Join(changes, "\n"), diff)
		}
		for _, m := range slices.Backward(group) {
			if m.undo != "" {
				change(m.undo)
			}
		}
	}
	if found := compared(); len(found) > 0 {
		t.Errorf("all is undone, and yet they differ: %q", found)
	}
}
