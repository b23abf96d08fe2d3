package archive

import (
	"slices"
	"strings"
	"testing"
)

func tocOf(t testing.TB, entries ...*Entry) *TOC {
	t.Helper()
	toc := &TOC{Header: Header{Major: 1, Minor: 16, IntSize: 4, OffSize: 8}}
	for i, e := range entries {
		if e.ID == 0 {
			e.ID = i + 1
		}
		if e.Section == 0 {
			e.Section = SectionPreData
		}
	}
	if err := toc.SetEntries(entries); err != nil {
		t.Fatal(err)
	}
	return toc
}

func table(name, sql string) *Entry {
	return &Entry{Desc: "TABLE", Namespace: String("public"), Tag: name, Defn: String(sql), DropStmt: String("DROP TABLE x;"),
		Tablespace: String(""), TableAM: String("heap"), Owner: String("me"), RelKind: 'r'}
}

func TestSessionSettings(t *testing.T) {
	a, b, c, d := table("a", "CREATE a"), table("b", "CREATE b"), table("c", "CREATE c"), table("d", "CREATE d")
	b.Tablespace = String("fast disk")
	c.Tablespace, c.TableAM = String("fast disk"), String("columnar")
	d.RelKind, d.TableAM = 'p', String("heap")
	path := &Entry{Desc: DescSearchPath, Defn: String("SELECT pg_catalog.set_config('search_path', '', false);\n")}
	toc := tocOf(t, path, a, b, c, d)
	collect := func(s *Session) []string {
		var all []string
		for _, e := range toc.Entries {
			out, err := s.Statements(e)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, out...)
		}
		return all
	}
	s := NewSession(toc, RestoreOptions{NoOwner: true})
	want := []string{
		"SET default_tablespace = '';", `SET default_table_access_method = "heap";`, "CREATE a",
		`SET default_tablespace = "fast disk";`, "CREATE b",
		`SET default_table_access_method = "columnar";`, "CREATE c",
		"SET default_tablespace = '';", "CREATE d", `ALTER TABLE "public"."d" SET ACCESS METHOD "heap";`,
	}
	if got := collect(s); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// What is in force is not sent again, unless the session is reset.
	if got, err := s.Statements(d); err != nil || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
	s.Reset()
	if got, err := s.Statements(a); err != nil || len(got) != 3 {
		t.Errorf("%q, %v", got, err)
	}
	plain := NewSession(toc, RestoreOptions{NoOwner: true, NoTablespaces: true, NoTableAccessMethod: true})
	if got := collect(plain); !slices.Equal(got, []string{"CREATE a", "CREATE b", "CREATE c", "CREATE d"}) {
		t.Errorf("%q", got)
	}
	// An archive without a search path of its own relies on one for each entry.
	old := NewSession(tocOf(t, table("a", "CREATE a")), RestoreOptions{NoOwner: true, NoTablespaces: true, NoTableAccessMethod: true})
	if got, err := old.Statements(a); err != nil || !slices.Equal(got, []string{`SET search_path = "public", pg_catalog;`, "CREATE a"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPreamble(t *testing.T) {
	toc := tocOf(t, &Entry{Desc: DescEncoding, Defn: String("SET client_encoding = 'LATIN1';\n")})
	text := strings.Join(NewSession(toc, RestoreOptions{}).Preamble(13), "\n")
	for _, want := range []string{"client_encoding = 'LATIN1'", "standard_conforming_strings = off", "row_security = off"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(text, "transaction_timeout") || strings.Contains(text, "idle_session_timeout") {
		t.Error("a setting that version 13 does not know")
	}
}

func TestOwnerSQL(t *testing.T) {
	for _, c := range []struct{ desc, tag, drop, want string }{
		{"TABLE", `a"b`, "DROP TABLE x;\n", `ALTER TABLE "s"."a""b" OWNER TO "me";`},
		{"FUNCTION", "f(integer)", "DROP FUNCTION s.f(integer);\n", `ALTER FUNCTION s.f(integer) OWNER TO "me";`},
		{"OPERATOR CLASS", "o", "DROP OPERATOR CLASS s.o USING btree;\n", `ALTER OPERATOR CLASS s.o USING btree OWNER TO "me";`},
		{"INDEX", "i", "DROP INDEX s.i;\n", ""},
		{"SEQUENCE", "identity", "", ""},
		{"BLOB", "3000000000", "SELECT pg_catalog.lo_unlink('3000000000');\n", `ALTER LARGE OBJECT 3000000000 OWNER TO "me";`},
	} {
		e := &Entry{Desc: c.desc, Namespace: String("s"), Tag: c.tag, Owner: String("me"), DropStmt: String(c.drop)}
		if c.desc == "BLOB" {
			e.Namespace = NullString{}
		}
		got, err := OwnerSQL(e)
		if err != nil || strings.Join(got, "\n") != c.want {
			t.Errorf("%s: %q, %v", c.desc, got, err)
		}
	}
	for _, e := range []*Entry{
		{Desc: "NOVELTY", Owner: String("me"), DropStmt: String("DROP NOVELTY x;")},
		{Desc: "FUNCTION", Owner: String("me"), DropStmt: String("DELETE FROM x;")},
	} {
		if _, err := OwnerSQL(e); err == nil {
			t.Errorf("%s: no error", e.Desc)
		}
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		e    Entry
		want Parts
	}{
		{Entry{Desc: "TABLE", Defn: String("x")}, PartSchema},
		{Entry{Desc: DescTableData, HadDumper: 1}, PartData},
		{Entry{Desc: DescTableData, HadDumper: 1, Defn: String("-- load via partition root p")}, PartData},
		{Entry{Desc: DescSequenceSet, Defn: String("x")}, PartData},
		{Entry{Desc: DescMatviewData, Defn: String("x")}, PartSchema},
		{Entry{Desc: DescACL, Tag: "LARGE OBJECTS 1..2", Defn: String("x")}, PartData},
		{Entry{Desc: DescComment, Tag: "TABLE t", Defn: String("x")}, PartSchema},
		{Entry{Desc: DescStatisticsData, Defn: String("x")}, PartStatistics},
		{Entry{Desc: "PRIVATE", Tag: "whatever"}, 0},
	} {
		if got := c.e.Parts(); got != c.want {
			t.Errorf("%s %s: %b, want %b", c.e.Desc, c.e.Tag, got, c.want)
		}
	}
}

func TestLoadsViaRoot(t *testing.T) {
	for _, c := range []struct {
		defn NullString
		copy string
		want bool
	}{
		{NullString{}, "COPY public.leaf (a) FROM stdin;\n", false},
		{NullString{}, "COPY public.\"leaf\"  FROM stdin;\n", false},
		{NullString{}, "COPY public.root (a) FROM stdin;\n", true},
		{String("-- load via partition root public.root"), "COPY public.root (a) FROM stdin;\n", true},
	} {
		e := &Entry{Desc: DescTableData, Namespace: String("public"), Tag: "leaf", Defn: c.defn, CopyStmt: String(c.copy)}
		if got := e.LoadsViaRoot(); got != c.want {
			t.Errorf("%q: %v", c.copy, got)
		}
	}
}
