package compare

import (
	"testing"

	"github.com/pgberth/pgberth/internal/definitions"
)

func TestEquivalent(t *testing.T) {
	old := pair{&side{dialect: definitions.Dialect{Major: 13}}, &side{dialect: definitions.Dialect{Major: 17}}}
	same := pair{&side{dialect: definitions.Dialect{Major: 17}}, &side{dialect: definitions.Dialect{Major: 17}}}
	const (
		view15  = " SELECT p.id,\n    p.\"a b\",\n    upper(p.name) AS name\n   FROM club.players p\n  WHERE (p.bank > (100)::numeric);"
		view16  = " SELECT id,\n    \"a b\",\n    upper(name) AS name\n   FROM club.players p\n  WHERE (bank > (100)::numeric);"
		joined  = " SELECT p.id,\n    g.id\n   FROM (p JOIN g ON (p.id = g.player));"
		swapped = " SELECT g.id,\n    p.id\n   FROM (p JOIN g ON (p.id = g.player));"
	)
	tests := []struct {
		name, aspect, from, to string
		pair                   pair
		want                   bool
	}{
		{"one table's columns", "definition", view15, view16, old, true},
		{"the other way round", "definition", view16, view15, old, true},
		{"on one major it is a difference", "definition", view15, view16, same, false},
		{"another constant", "definition", view15, " SELECT id,\n    \"a b\",\n    upper(name) AS name\n   FROM club.players p\n  WHERE (bank > (101)::numeric);", old, false},
		{"two tables", "definition", joined, swapped, old, false},
		{"two tables lose their names", "definition", joined, " SELECT id,\n    id\n   FROM (p JOIN g ON (id = player));", old, false},
		{"a column named as its table", "definition", "SELECT t.t FROM public.t;", "SELECT t FROM public.t;", old, true},
		{"less text", "definition", "SELECT t.a, t.b FROM t;", "SELECT a FROM t;", old, false},
		{"a string that looks so", "definition", "SELECT 'p.a'::text FROM p;", "SELECT 'a'::text FROM p;", old, false},
		{"an input argument", "definition", "CREATE PROCEDURE p(INOUT a integer, b text)", "CREATE PROCEDURE p(INOUT a integer, IN b text)", old, true},
		{"another aspect", "default", "t.a", "a", old, false},
		{"a column only here", "column order", "a, b, c", "a, c", same, true},
		{"another order", "column order", "a, b, c", "a, c, b", same, false},
		{"another order and a column only there", "column order", "a, b", "b, x, a", same, false},
	}
	for _, test := range tests {
		m := merge{pair: test.pair}
		if got := m.equivalent(test.aspect, test.from, test.to); got != test.want {
			t.Errorf("%s: equivalent(%q, %q) = %v, want %v", test.name, test.from, test.to, got, test.want)
		}
	}
}

func TestLiteral(t *testing.T) {
	for in, want := range map[string]string{"it's": "'it''s'", `back\slash's`: `E'back\\slash''s'`} {
		if got := literal(in); got != want {
			t.Errorf("literal(%q) = %s, want %s", in, got, want)
		}
	}
}
