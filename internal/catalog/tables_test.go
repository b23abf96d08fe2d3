package catalog_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/copywire"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// oddities are what the menagerie may lack.
const oddities = `
CREATE SCHEMA odd;
CREATE TABLE odd.columns (z int, dropped text, "a ""b" int, sum int GENERATED ALWAYS AS (z + 1) STORED, "ID" int GENERATED ALWAYS AS IDENTITY, late text);
ALTER TABLE odd.columns DROP COLUMN dropped; ALTER TABLE odd.columns ADD COLUMN dropped int;
CREATE TABLE odd.none (); CREATE TABLE odd.only_generated (a int); ALTER TABLE odd.only_generated DROP COLUMN a, ADD COLUMN b int GENERATED ALWAYS AS (1) STORED;
CREATE UNLOGGED TABLE odd."un logged" (a int); CREATE TEMPORARY TABLE temporary (a int);
CREATE TABLE odd.parent (a int); CREATE TABLE odd.child (b int) INHERITS (odd.parent);
CREATE TYPE odd.mood AS ENUM ('sad', 'glad'); CREATE DOMAIN odd.humour AS odd.mood; CREATE TYPE odd.pair AS (m odd.mood);

CREATE TABLE odd.by_enum (m odd.mood, n int) PARTITION BY HASH (m);
CREATE TABLE odd.by_enum_0 PARTITION OF odd.by_enum FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE odd.by_enum_1 PARTITION OF odd.by_enum FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY LIST (n);
CREATE TABLE odd.by_enum_1_d PARTITION OF odd.by_enum_1 DEFAULT;
CREATE TABLE odd.top (n int, m odd.mood, at date) PARTITION BY RANGE (n);
CREATE TABLE odd.top_plain PARTITION OF odd.top FOR VALUES FROM (0) TO (1) PARTITION BY HASH (at);
CREATE TABLE odd.top_plain_0 PARTITION OF odd.top_plain FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE odd.top_enum PARTITION OF odd.top FOR VALUES FROM (1) TO (2) PARTITION BY HASH (n, m);
CREATE TABLE odd.top_enum_0 PARTITION OF odd.top_enum FOR VALUES WITH (MODULUS 1, REMAINDER 0) PARTITION BY HASH (at);
CREATE TABLE odd.top_enum_0_0 PARTITION OF odd.top_enum_0 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE odd.top_rest PARTITION OF odd.top DEFAULT;
CREATE TABLE odd.by_humour (m odd.humour) PARTITION BY HASH (m);
CREATE TABLE odd.by_humour_0 PARTITION OF odd.by_humour FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE odd.by_list (m odd.mood) PARTITION BY LIST (m); CREATE TABLE odd.by_list_sad PARTITION OF odd.by_list FOR VALUES IN ('sad');

CREATE SEQUENCE odd.fresh START 42; CREATE SEQUENCE odd.called; SELECT nextval('odd.called');
CREATE SEQUENCE odd.down INCREMENT -5 START -10 MINVALUE -9223372036854775808; SELECT nextval('odd.down'), nextval('odd.down');
CREATE SEQUENCE odd.low MINVALUE -9223372036854775808; SELECT setval('odd.low', -9223372036854775808, false);
CREATE SEQUENCE odd.high; SELECT setval('odd.high', 9223372036854775807);
CREATE SEQUENCE odd."O'Brien \ ""x"""; SELECT setval('odd."O''Brien \ ""x"""', 7, false);

CREATE MATERIALIZED VIEW odd.m1 AS SELECT * FROM odd.parent;
CREATE VIEW odd.v1 AS SELECT a FROM odd.m1; CREATE VIEW odd.v2 AS SELECT a FROM odd.v1 WHERE a IN (SELECT a FROM odd.v1);
CREATE MATERIALIZED VIEW odd.m2 AS SELECT * FROM odd.v2; CREATE MATERIALIZED VIEW odd.m3 AS SELECT m2.a FROM odd.m2, odd.m1;
CREATE MATERIALIZED VIEW odd."M 4" AS SELECT 1 AS one WITH NO DATA;
`

// dataStatement is one of pg_dump's. A name may have line breaks.
var dataStatement = regexp.MustCompile(`(?ms)^(COPY .*? FROM stdin|SELECT pg_catalog\.setval\(.*?, (true|false)\)|REFRESH .*?);\n`)

// plain rewrites a literal with escapes into one that pg_dump would write.
func plain(sql string) string {
	if before, literal, found := strings.Cut(sql, "E'"); found {
		return before + "'" + strings.ReplaceAll(literal, `\\`, `\`)
	}
	return sql
}

// The statements for rows, sequences and materialized views are those that the
// server's own pg_dump writes.
func TestAsPgDump(t *testing.T) {
	each(t, func(t *testing.T, s *pgtest.Server) {
		db := pgtest.Menagerie(t, s)
		s.Exec(t, db, oddities)
		want := dataStatement.FindAllString(s.Dump(t, db, "--quote-all-identifiers"), -1)
		conn := open(t, s, db, s.User)
		tables, err := catalog.Tables(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		sequences, unreadable, err := catalog.Sequences(t.Context(), conn)
		if err != nil || len(unreadable) > 0 {
			t.Fatalf("unreadable sequences %q: %v", unreadable, err)
		}
		views, err := catalog.Matviews(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, table := range tables {
			got = append(got, table.CopyIn())
		}
		for _, sequence := range sequences {
			if sequence.Extension != "" || !owned(s, t, db, sequence.OID) {
				got = append(got, plain(sequence.SetSQL()))
			}
		}
		for _, view := range views {
			if view.Populated {
				got = append(got, view.RefreshSQL())
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pg_dump -, pgberth +:\n%s", diff)
		}
		if len(want) < 50 {
			t.Errorf("pg_dump wrote %d statements only", len(want))
		}
		for _, table := range tables {
			if !table.Readable || table.RowSecurity {
				t.Errorf("table %s: readable %v, row security %v for a superuser", table.QualifiedName(), table.Readable, table.RowSecurity)
			}
			count := s.Row(t, db, "SELECT count(*) FROM ONLY "+catalog.QuoteQualified(table.Schema, table.Name)+" "+table.Condition)
			if sent, err := copywire.Out(t.Context(), conn.PgConn(), table.CopyOut(), nil, nil); err != nil || fmt.Sprint(sent.Rows) != count {
				t.Errorf("%s sends %d rows of %s: %v", table.CopyOut(), sent.Rows, count, err)
			}
		}
	})
}

// owned tells whether an extension has the relation as its own.
func owned(s *pgtest.Server, t *testing.T, db string, oid uint32) bool {
	return s.Row(t, db, fmt.Sprintf("SELECT count(*) FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = %d AND deptype = 'e'", oid)) != "0"
}

func tablesByName(t *testing.T, conn *pgx.Conn) map[string]*catalog.Table {
	t.Helper()
	all, err := catalog.Tables(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*catalog.Table{}
	for _, table := range all {
		byName[table.Name] = table
	}
	return byName
}

func TestBinary(t *testing.T) {
	host := pgtest.Host(t)
	db := host.CreateDB(t)
	host.Exec(t, db, `CREATE EXTENSION hstore; CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN humour AS mood NOT NULL; CREATE DOMAIN d1 AS numeric(5,2); CREATE DOMAIN d2 AS d1;
CREATE TYPE pair AS (a int); CREATE DOMAIN pair_domain AS pair; CREATE DOMAIN list AS int[]; CREATE TYPE floats AS RANGE (subtype = float8);
CREATE TABLE all_in (a int, b text, c timestamptz[], d jsonb, e numeric(10, 2), f varchar(3), g "char", h bit(3), i inet, j interval, k uuid);
CREATE TABLE enums (a mood, b humour); CREATE TABLE domains (a d2, b list); CREATE TABLE none (); CREATE TABLE gone (a int, b xml); ALTER TABLE gone DROP b;
CREATE TABLE computed (a int, b tsvector GENERATED ALWAYS AS (NULL::tsvector) STORED)`)
	no := []string{"xml", "tsvector", "regclass", "regtype[]", "money", "point", "int4range", "floats", "pair", "pair_domain", "pair[]", "mood[]", "d1[]", "hstore", "xid8", "pg_lsn", "record_t"}
	host.Exec(t, db, "CREATE TABLE record_t (a int)")
	for i, typ := range no {
		host.Exec(t, db, fmt.Sprintf("CREATE TABLE no_%d (a int, b %s)", i, typ))
	}
	tables := tablesByName(t, open(t, host, db, host.User))
	for _, name := range []string{"all_in", "enums", "domains", "none", "gone", "computed"} {
		if !tables[name].Binary || !strings.HasSuffix(tables[name].CopyOut(), "(FORMAT binary)") {
			t.Errorf("table %s is not copied in binary", name)
		}
	}
	for i, typ := range no {
		if tables[fmt.Sprintf("no_%d", i)].Binary {
			t.Errorf("a column of type %s is copied in binary", typ)
		}
	}
}

func TestSize(t *testing.T) {
	host := pgtest.Host(t)
	db := host.CreateDB(t)
	host.Exec(t, db, `CREATE TABLE toasted AS SELECT string_agg(md5(g::text), '') AS a FROM generate_series(1, 30000) g; CREATE TABLE empty (); CREATE INDEX ON toasted (md5(a))`)
	tables := tablesByName(t, open(t, host, db, host.User))
	if size := tables["toasted"].Bytes; size < 900_000 || fmt.Sprint(size) != host.Row(t, db, "SELECT pg_table_size('toasted')") {
		t.Errorf("a value of a megabyte makes a table of %d bytes", size)
	}
	if size := tables["empty"].Bytes; size != 0 {
		t.Errorf("the empty table has %d bytes", size)
	}
}

func TestPrivileges(t *testing.T) {
	host := pgtest.Host(t)
	db := host.CreateDB(t)
	role := pgtest.NewName("role")
	host.Exec(t, db, "CREATE ROLE "+role+"; CREATE SCHEMA closed; CREATE SCHEMA open; GRANT USAGE ON SCHEMA open TO "+role)
	t.Cleanup(func() { host.Exec(t, "postgres", "DROP ROLE "+role) })
	t.Cleanup(func() { host.Exec(t, db, "DROP OWNED BY "+role) })
	wantTables := map[string]string{}
	for _, test := range []struct{ name, sql, want string }{
		{"open.granted", "GRANT SELECT ON open.granted TO ROLE", "readable"},
		{"closed.granted2", "GRANT SELECT ON closed.granted2 TO ROLE", ""},
		{"open.denied", "GRANT INSERT ON open.denied TO ROLE", ""},
		{"open.columns", "GRANT SELECT (a, b) ON open.columns TO ROLE", "readable"},
		{"open.column", "GRANT SELECT (a) ON open.column TO ROLE", ""},
		{"open.owned", "ALTER TABLE open.owned OWNER TO ROLE", "readable"},
		{"open.public", "GRANT SELECT ON open.public TO PUBLIC", "readable"},
		{"open.rls", "GRANT SELECT ON open.rls TO ROLE; ALTER TABLE open.rls ENABLE ROW LEVEL SECURITY", "readable rls"},
		{"open.rls_owned", "ALTER TABLE open.rls_owned OWNER TO ROLE; ALTER TABLE open.rls_owned ENABLE ROW LEVEL SECURITY", "readable"},
		{"open.rls_forced", "ALTER TABLE open.rls_forced OWNER TO ROLE; ALTER TABLE open.rls_forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", "readable rls"},
	} {
		host.Exec(t, db, "CREATE TABLE "+test.name+" (a int, b int, c int GENERATED ALWAYS AS (a) STORED); "+strings.ReplaceAll(test.sql, "TO ROLE", "TO "+role))
		_, name, _ := strings.Cut(test.name, ".")
		wantTables[name] = test.want
	}
	host.Exec(t, db, "CREATE SEQUENCE open.s1; CREATE SEQUENCE open.s2; CREATE SEQUENCE closed.s3; GRANT SELECT ON open.s1, closed.s3 TO "+role)
	conn := open(t, host, db, role)
	for name, table := range tablesByName(t, conn) {
		got := ""
		if table.Readable {
			got = "readable"
		}
		if table.RowSecurity {
			got += " rls"
		}
		if got != wantTables[name] {
			t.Errorf("table %s is %q, want %q", name, got, wantTables[name])
		}
		// The server agrees.
		do(t, conn, "SAVEPOINT s")
		_, err := conn.Exec(t.Context(), "COPY "+catalog.QuoteQualified(table.Schema, table.Name)+" (a, b) TO STDOUT")
		do(t, conn, "ROLLBACK TO s")
		if (err == nil) != (got == "readable") {
			t.Errorf("table %s is said to be %q, but: %v", name, got, err)
		}
	}
	sequences, unreadable, err := catalog.Sequences(t.Context(), conn)
	if err != nil || len(sequences) != 1 || sequences[0].Name != "s1" || !slices.Equal(unreadable, []string{"open.s2", "closed.s3"}) {
		t.Errorf("sequences: %d readable, %q not: %v", len(sequences), unreadable, err)
	}
}
