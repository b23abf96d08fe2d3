package definitions_test

import (
	"testing"

	"github.com/pgberth/pgberth/internal/definitions"
)

func TestCanonical(t *testing.T) {
	for _, test := range []struct{ from, want string }{
		{`CHECK (((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))`,
			`CHECK (((s)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))`},
		{`((x)::text = ANY ((ARRAY['it''s, ]'::character varying, "odd ]"])::text[]) OR (y = ANY ((ARRAY[1, f(2, 3)])::numeric(10,2)[])))`,
			`((x)::text = ANY (ARRAY[('it''s, ]'::character varying)::text, ("odd ]")::text]) OR (y = ANY (ARRAY[(1)::numeric(10,2), (f(2, 3))::numeric(10,2)])))`},
		{`CHECK ((d = ANY (ARRAY['x'::text, 'y'::text])))`, `CHECK ((d = ANY (ARRAY['x'::text, 'y'::text])))`},
		{`f((ARRAY[1, 2]), 'x[]')`, `f((ARRAY[1, 2]), 'x[]')`},
		{`(ARRAY['never ended`, `(ARRAY['never ended`},
		{`((ARRAY[(ARRAY[a, b])::text[]])::name[])`, `(ARRAY[(ARRAY[(a)::text, (b)::text])::name])`},
		{``, ``},
	} {
		if got := definitions.Canonical(test.from); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.from, got, test.want)
		}
	}
}
