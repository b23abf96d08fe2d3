package archive

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func selectable(t testing.TB) *TOC {
	t.Helper()
	in := func(e *Entry, schema, tag string) *Entry {
		e.Namespace, e.Tag = String(schema), tag
		return e
	}
	rows := func(e *Entry) *Entry {
		e.HadDumper = 1
		return e
	}
	schema := testEntry(1, DescSchema, SectionPreData)
	schema.Tag = "app"
	return tocOf(t,
		schema,
		in(testEntry(2, DescTable, SectionPreData, 1), "app", "games"),
		in(testEntry(3, DescTable, SectionPreData), "public", "players"),
		in(rows(testEntry(4, DescTableData, SectionData, 2)), "app", "games"),
		in(rows(testEntry(5, DescTableData, SectionData, 3)), "public", "players"),
		in(testEntry(6, DescIndex, SectionPostData, 2), "app", "games_idx"),
		in(testEntry(7, DescIndex, SectionPostData, 3), "public", "players_idx"),
	)
}

func TestSelect(t *testing.T) {
	toc := selectable(t)
	for name, test := range map[string]struct {
		selection Selection
		want      []int
	}{
		"all":          {Selection{}, []int{1, 2, 3, 4, 5, 6, 7}},
		"section":      {Selection{Sections: []Section{SectionData}}, []int{4, 5}},
		"sections":     {Selection{Sections: []Section{SectionData, SectionPostData}}, []int{4, 5, 6, 7}},
		"schema":       {Selection{Schemas: []string{"app"}}, []int{1, 2, 4, 6}},
		"not schema":   {Selection{ExcludeSchemas: []string{"app"}}, []int{3, 5, 7}},
		"table":        {Selection{Tables: []string{"players"}}, []int{3, 5, 7}},
		"with schema":  {Selection{Tables: []string{"app.games"}}, []int{2, 4, 6}},
		"not table":    {Selection{ExcludeTables: []string{"games"}}, []int{1, 3, 5, 7}},
		"not its rows": {Selection{ExcludeTableData: []string{"app.games"}}, []int{1, 2, 3, 5, 6, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := toc.Select(test.selection)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, ids(got.Entries)); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, s := range []Selection{{Schemas: []string{"ap"}}, {Tables: []string{"app.players"}}, {ExcludeTableData: []string{"x"}}} {
		if _, err := toc.Select(s); err == nil {
			t.Errorf("%+v: a name that matches nothing is taken", s)
		}
	}
}
