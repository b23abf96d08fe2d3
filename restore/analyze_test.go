package restore

import "testing"

func TestOfExpression(t *testing.T) {
	for definition, want := range map[string]bool{
		"CREATE INDEX i ON public.t USING btree (a, b DESC) INCLUDE (c) WHERE (d > 3);":                         false,
		"CREATE INDEX i ON public.t USING btree (lower(a));":                                                    true,
		"CREATE INDEX i ON public.t USING btree (((a ->> 'x'::text)));":                                         true,
		"CREATE INDEX i ON public.t USING gist (a, ((b + 1)));":                                                 true,
		"CREATE INDEX i ON public.t USING gin (a public.gin_trgm_ops) WITH (fastupdate='off');":                 false,
		`CREATE INDEX "i (odd)" ON public.t USING btree (a);`:                                                   false,
		`CREATE INDEX "i (odd)" ON public.t USING btree (lower(a));`:                                            true,
		`CREATE INDEX "i (" ON public.t USING btree (lower(a));`:                                                true,
		"ALTER TABLE ONLY public.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);\n":                              false,
		"ALTER TABLE ONLY public.t\n    ADD CONSTRAINT x EXCLUDE USING gist (a WITH =, tsrange(b, c) WITH &&);": true,
		"": false,
	} {
		if got := ofExpression(definition); got != want {
			t.Errorf("%s: %t", definition, got)
		}
	}
}
