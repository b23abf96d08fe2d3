package pgtest_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// TestSamples loads the samples into every major version and copies them with the stock tools to the newest:
// what a stock tool cannot restore would be no fair test of ours.
func TestSamples(t *testing.T) {
	majors := pgtest.Majors(t)
	newest := majors[len(majors)-1]
	for _, major := range majors {
		t.Run(strconv.Itoa(major), func(t *testing.T) {
			source, target := pgtest.SharedContainer(t, major), pgtest.SharedContainer(t, newest)
			for name, load := range map[string]func(testing.TB, *pgtest.Server) string{
				"menagerie": pgtest.Menagerie,
				"banker":    func(t testing.TB, s *pgtest.Server) string { return pgtest.Banker(t, s, 1) },
				"pagila":    pgtest.Pagila,
			} {
				t.Run(name, func(t *testing.T) {
					db := load(t, source)
					copied := source.Copy(t, db, target)
					want := data(source.DumpWith(t, newest, db, "--section=data"))
					got := data(target.DumpWith(t, newest, copied, "--section=data"))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("the stock copy differs (-source +copy):\n%.4000s", diff)
					}
				})
			}
		})
	}
}

// data is what a dump says of the database's rows, but for their order and their columns':
// an enum's hash and an inherited column's place are another database's own.
func data(dump string) []string {
	var lines []string
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, "--") {
			continue
		}
		values := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("\t\n (),", r) })
		slices.Sort(values)
		lines = append(lines, strings.Join(values, "\t"))
	}
	slices.Sort(lines)
	return lines
}
