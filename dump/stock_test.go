package dump_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
)

var samples = []struct {
	name   string
	create func(testing.TB, *pgtest.Server) string
}{
	{"menagerie", pgtest.Menagerie}, // in which inherited columns change their places on the way
	{"banker", func(t testing.TB, s *pgtest.Server) string { return pgtest.Banker(t, s, 1) }},
	{"pagila", pgtest.Pagila},
}

// servers are those whose databases are dumped, and whose own pg_restore then reads the archives.
func servers(t testing.TB) []*pgtest.Server {
	t.Helper()
	list := []*pgtest.Server{pgtest.Host(t), pgtest.SharedContainer(t, 17)}
	if wide() {
		list = append(list, pgtest.SharedContainer(t, 13), pgtest.SharedContainer(t, 18))
	}
	return list
}

// forms are the archives we write.
var forms = []struct {
	name   string
	sample string // the one to which the form is tried when there is little time
	major  int    // the server's, when there is little time; 0 is for all
	from   int    // the pg_restore that reads it, as given with --pg-restore: servers of later versions write it too
	args   []string
	jobs   bool // pg_restore -j4
}{
	{"directory", "menagerie", 17, 0, nil, true},
	{"custom", "menagerie", 15, 0, []string{"--format=custom"}, true},
	{"custom-serial", "banker", 17, 0, []string{"--format=custom", "--jobs=5"}, false},
	{"none", "banker", 17, 0, []string{"--compress=none", "--jobs=5"}, false},
	{"custom-none", "menagerie", 15, 0, []string{"--format=custom", "--compress=none"}, true},
	{"custom-gzip", "banker", 17, 0, []string{"--compress=gzip:9", "--format=custom"}, false},
	{"zstd-6", "banker", 17, 17, []string{"--compress=zstd:6", "--pg-restore=17"}, true},
	{"for-13", "pagila", 15, 13, []string{"--pg-restore=13"}, true},
	{"custom-for-15", "menagerie", 17, 15, []string{"--pg-restore=15", "--format=custom"}, false},
	{"for-16", "banker", 17, 16, []string{"--pg-restore=16"}, true},
}

// What we write, in whatever form, stock pg_restore restores as it was. It says the same, word for word, as
// what stock pg_dump writes of the same database.
func TestToStock(t *testing.T) {
	for _, s := range servers(t) {
		for _, sample := range samples {
			chosen := slices.Clone(forms)
			for i := len(chosen) - 1; i >= 0; i-- {
				if form := chosen[i]; form.from > s.Major || !wide() && !pgtest.Soak() && (form.major != 0 && form.major != s.Major || form.sample != sample.name) {
					chosen = slices.Delete(chosen, i, i+1)
				}
			}
			if len(chosen) == 0 {
				continue // the sample is for another version
			}
			t.Run(itoa(s.Major)+"-"+sample.name, func(t *testing.T) {
				db := sample.create(t, s)
				stock := db
				if sample.name == "menagerie" {
					stock = s.Copy(t, db, s)
				}
				oracle := pgtest.NewOracle(t, s, db, s, stock)
				words := stockText(t, s, db)
				for _, form := range chosen {
					t.Run(form.name, func(t *testing.T) {
						var args []string
						if form.jobs {
							args = append(args, "--jobs=4")
						}
						path := carried(t, s, dumped(t, s, db, form.args...))
						oracle := oracle
						if form.from != 0 && form.from < 17 {
							oracle = oracle.Forget("ALTER TABLE zoo.parts_of_heap2 SET ACCESS METHOD") // for which these have no place
						} else if diff := cmp.Diff(words, canonical(text(t, s, path))); diff != "" {
							t.Errorf("pg_restore finds differences (-stock +ours):\n%.8000s", diff)
						}
						oracle.CheckContent(t, s, stockRestored(t, s, path, args...))
					})
				}
			})
		}
	}
}

// stockText is what stock pg_restore says of the archive that stock pg_dump writes of a database.
func stockText(t testing.TB, s *pgtest.Server, db string) []string {
	t.Helper()
	cmd := s.Client(t, s.Major, db, "pg_restore", "--restrict-key=k", "--create", "--file=-")
	cmd.Stdin = strings.NewReader(output(t, s.Client(t, s.Major, db, "pg_dump", "-Fc")))
	return canonical(output(t, cmd))
}

var (
	// What needs no quotes we quote all the same.
	needless = regexp.MustCompile(`"([a-z_][a-z0-9_]*)"`)
	// Configuration tables of an extension have no owner of their own with us.
	configured = regexp.MustCompile(`(Name: pgberth_\w+; Type: (TABLE DATA|SEQUENCE SET);.* Owner: ).*`)
)

func canonical(text string) []string {
	return pgtest.Script(configured.ReplaceAllString(needless.ReplaceAllString(text, "$1"), "$1-"))
}

// The oldest pg_restore that an archive is for does read it.
func TestOldReader(t *testing.T) {
	host, s := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	db := pgtest.Menagerie(t, s)
	readers := map[string]*pgtest.Server{"15": host}
	if wide() {
		readers["13"] = pgtest.SharedContainer(t, 13)
	}
	for version, reader := range readers {
		for _, format := range []string{"directory", "custom"} {
			path := carried(t, reader, dumped(t, s, db, "--pg-restore="+version, "--format="+format))
			if got := text(t, reader, path); !strings.Contains(got, "COPY zoo") && !strings.Contains(got, `COPY "zoo"`) {
				t.Errorf("pg_restore %s reads of our %s archive:\n%.2000s", version, format, got)
			}
		}
	}
}
