package nightly

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/nightly/config"
)

func TestChoose(t *testing.T) {
	all := []database{{"Odd.name", false, true}, {"closed", false, false}, {"postgres", false, true}, {"shop", false, true}, {"shop_before_20261127231050", false, true}, {"shop_pgberth_0a1b2c3d", false, true},
		{"shop_test", false, true}, {"template0", true, false}, {"template1", true, true}}
	for _, test := range []struct {
		name                string
		databases, exclude  []string
		want, wantsProblems []string
	}{
		{"all", nil, nil, []string{"Odd.name", "postgres", "shop", "shop_test"}, nil},
		{"but some", nil, []string{"post*", "*_test"}, []string{"Odd.name", "shop"}, nil},
		{"named", []string{"shop"}, nil, []string{"shop"}, nil},
		{"twice", []string{"shop", "shop*"}, nil, []string{"shop", "shop_test"}, nil},
		{"put aside", []string{"shop_before_20261127231050"}, nil, []string{"shop_before_20261127231050"}, nil},
		{"named template", []string{"template1"}, nil, []string{"template1"}, nil},
		{"a letter", []string{"sho?"}, nil, []string{"shop"}, nil},
		{"no regular expression", []string{"Odd.name"}, nil, []string{"Odd.name"}, nil},
		{"missing", []string{"shop", "shopp", "x*"}, nil, []string{"shop"}, []string{"the server has no database shopp", "the server has no database x*"}},
		{"case", []string{"Shop"}, nil, nil, []string{"the server has no database Shop"}},
		{"closed", []string{"closed"}, nil, nil, []string{"database closed allows no connections"}},
		{"nothing left", []string{"shop"}, []string{"*"}, nil, []string{"there is no database to back up"}},
	} {
		names, problems := choose(&config.Job{Databases: test.databases, Exclude: test.exclude}, all)
		var texts []string
		for _, p := range problems {
			text, _, _ := strings.Cut(p.Error(), ";")
			texts = append(texts, text)
		}
		if !slices.Equal(names, test.want) || !slices.Equal(texts, test.wantsProblems) {
			t.Errorf("%s: %q, %q", test.name, names, texts)
		}
	}
}
