package archive

import (
	"slices"
	"strings"
	"testing"
)

func TestSplitStatements(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"", nil},
		{" -- only a comment\n/* and /* a nested */ one */ ;;", nil},
		{"SELECT 1; SELECT 2", []string{"SELECT 1", "SELECT 2"}},
		{"SELECT 1 -- ; no end\n; SELECT 2;\n", []string{"SELECT 1", "SELECT 2"}},
		{"SELECT ';''', \"a;\"\"b\", E'\\';', U&';', $$;$$, $x$ $$; $x$;SELECT 2", []string{"SELECT ';''', \"a;\"\"b\", E'\\';', U&';', $$;$$, $x$ $$; $x$", "SELECT 2"}},
		{`SELECT '\';SELECT 2`, []string{`SELECT '\'`, "SELECT 2"}},
		{"SELECT a$b$c; SELECT $1;", []string{"SELECT a$b$c", "SELECT $1"}},
		{"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2); SELECT 3", []string{"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)", "SELECT 3"}},
		{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
			[]string{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END", "SELECT 3"}},
		{"CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT 1; END", []string{"CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT 1; END"}},
		{"BEGIN; SELECT 1; END;", []string{"BEGIN", "SELECT 1", "END"}},
		{"SELECT 'not closed; ", []string{"SELECT 'not closed; "}},
		{"SELECT $$not closed; ", []string{"SELECT $$not closed; "}},
		{"SELECT 1 /* not closed;", []string{"SELECT 1"}},
		{"é; \"Ü;\"", []string{"é", "\"Ü;\""}},
	} {
		if got := SplitStatements(c.sql); !slices.Equal(got, c.want) {
			t.Errorf("%q:\ngot  %q\nwant %q", c.sql, got, c.want)
		}
	}
}

func TestRenameDatabase(t *testing.T) {
	for _, c := range []struct{ sql, from, to, want string }{
		{"CREATE DATABASE banker WITH TEMPLATE = template0 ENCODING = 'UTF8';\n", "banker", "new", "CREATE DATABASE \"new\" WITH TEMPLATE = template0 ENCODING = 'UTF8';\n"},
		{"COMMENT ON DATABASE \"my db\" IS 'DATABASE \"my db\"';", "my db", `o"k`, `COMMENT ON DATABASE "o""k" IS 'DATABASE "my db"';`},
		{"ALTER DATABASE banker SET search_path TO 'banker';\nALTER ROLE banker IN DATABASE banker SET x TO 'y'; -- DATABASE banker\n", "banker", "n",
			"ALTER DATABASE \"n\" SET search_path TO 'banker';\nALTER ROLE banker IN DATABASE \"n\" SET x TO 'y'; -- DATABASE banker\n"},
		{"GRANT ALL ON DATABASE database TO database;", "database", "x", "GRANT ALL ON DATABASE \"x\" TO database;"},
		{"REVOKE CONNECT,TEMPORARY ON DATABASE Banker FROM PUBLIC;\nGRANT CONNECT ON DATABASE /* here */ banker TO a;", "banker", "x",
			"REVOKE CONNECT,TEMPORARY ON DATABASE \"x\" FROM PUBLIC;\nGRANT CONNECT ON DATABASE /* here */ \"x\" TO a;"},
		{"SECURITY LABEL FOR p ON DATABASE banker IS 'l';", "banker", "x", "SECURITY LABEL FOR p ON DATABASE \"x\" IS 'l';"},
		{"ALTER DATABASE other SET a TO 'b';", "banker", "x", "ALTER DATABASE other SET a TO 'b';"},
	} {
		if got := RenameDatabase(c.sql, c.from, c.to); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestWithoutTablespace(t *testing.T) {
	for sql, want := range map[string]string{
		"CREATE DATABASE a WITH TEMPLATE = template0 TABLESPACE = \"fast disk\" LOCALE = 'C';": "CREATE DATABASE a WITH TEMPLATE = template0 LOCALE = 'C';",
		"CREATE DATABASE a TABLESPACE fast;":                                                   "CREATE DATABASE a;",
		"CREATE DATABASE \"TABLESPACE\" LOCALE = 'TABLESPACE = x';":                            "CREATE DATABASE \"TABLESPACE\" LOCALE = 'TABLESPACE = x';",
	} {
		if got := WithoutTablespace(sql); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestRolesNamed(t *testing.T) {
	entry := func(desc, owner, sql string) *Entry {
		return &Entry{Desc: desc, Tag: "x", Owner: String(owner), Defn: String(sql)}
	}
	entries := []*Entry{
		entry("TABLE", "owner", "CREATE TABLE t (granted_to text);"),
		entry("SCHEMA", "pg_database_owner", "-- public"),
		entry(DescACL, "owner", `SET SESSION AUTHORIZATION grantor;
GRANT SELECT(a,b),UPDATE("TO") ON TABLE public.t TO reader, "Odd "" Name" WITH GRANT OPTION GRANTED BY boss;
RESET SESSION AUTHORIZATION;
REVOKE GRANT OPTION FOR ALL ON FUNCTION public.f(integer, text) FROM PUBLIC;
REVOKE ALL ON TABLE "from" FROM lost CASCADE;`),
		entry(DescDefaultACL, "owner", "ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA s GRANT SELECT ON TABLES TO taker;\nALTER DEFAULT PRIVILEGES FOR ROLE maker2 REVOKE ALL ON TABLES FROM maker3;"),
		entry(DescPolicy, "owner", `CREATE POLICY p ON public.t AS RESTRICTIVE FOR SELECT TO one, current_user, two USING ((a = 'TO three'));`),
		entry(DescUserMapping, "", "CREATE USER MAPPING FOR mapped SERVER s OPTIONS (\"user\" 'remote');"),
		entry(DescUserMapping, "", "CREATE USER MAPPING FOR PUBLIC SERVER s;"),
		entry(DescDatabaseProperties, "dba", "ALTER DATABASE d SET a TO 'b';\nALTER ROLE tuned IN DATABASE d SET role TO 'other';"),
		entry(DescACL, "owner", "GRANT SELECT ON TABLE a TO pg_monitor;"),
		entry("FUNCTION", "owner", "CREATE FUNCTION f() AS $$GRANT SELECT ON t TO nobody;$$;"),
	}
	for _, c := range []struct {
		opts RestoreOptions
		want string
	}{
		{RestoreOptions{}, `Odd " Name,boss,dba,grantor,lost,maker,maker2,maker3,mapped,one,owner,reader,taker,tuned,two`},
		{RestoreOptions{NoOwner: true}, `Odd " Name,boss,grantor,lost,maker,maker2,maker3,mapped,one,reader,taker,tuned,two`},
		{RestoreOptions{NoPrivileges: true}, "dba,mapped,one,owner,tuned,two"},
		{RestoreOptions{NoPrivileges: true, NoOwner: true, NoPolicies: true}, "mapped,tuned"},
	} {
		if got := strings.Join(RolesNamed(entries, c.opts), ","); got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.opts, got, c.want)
		}
	}
}

func TestQuote(t *testing.T) {
	if got := QuoteIdent(`a"b`); got != `"a""b"` {
		t.Error(got)
	}
	for value, want := range map[string]string{"it's": "'it''s'", `a\b'c`: ` E'a\\b''c'`, "": "''"} {
		if got := QuoteLiteral(value); got != want {
			t.Errorf("%q: %s", value, got)
		}
	}
}

func FuzzSQL(f *testing.F) {
	for _, sql := range []string{"SELECT 'a;b'; $x$;$x$", "ALTER DATABASE a SET b TO E'\\';'", "CREATE FUNCTION f() BEGIN ATOMIC; END;", "/* /* */ U&\"x\" $1"} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		rest := sql
		for _, s := range SplitStatements(sql) {
			_, after, ok := strings.Cut(rest, s)
			if !ok || s == "" {
				t.Fatalf("%q is not a part of %q", s, sql)
			}
			rest = after
		}
		if got := RenameDatabase(sql, "\x00", "x"); got != sql {
			t.Fatalf("%q became %q", sql, got)
		}
		WithoutTablespace(sql)
	})
}
