package restore_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/restore"
)

// forms are the arguments of pg_dump for every form an archive of it can have, from the major version on that knows them.
var forms = []struct {
	name   string
	since  int
	sample string // the one to which the form is tried when there is little time
	major  int    // the server's, when there is little time; 0 is for all
	args   []string
}{
	{"custom", 13, "menagerie", 15, []string{"-Fc"}},
	{"custom-none", 13, "menagerie", 15, []string{"-Fc", "-Z0"}},
	{"directory", 13, "banker", 17, []string{"-Fd"}},
	{"directory-none", 13, "banker", 17, []string{"-Fd", "-Z0"}},
	{"tar", 13, "menagerie", 17, []string{"-Ft"}},
	{"inserts", 13, "pagila", 15, []string{"-Fc", "--inserts"}},
	{"directory-column-inserts", 13, "banker", 17, []string{"-Fd", "--column-inserts", "--rows-per-insert=7"}},
	{"custom-zstd", 16, "banker", 0, []string{"-Fc", "--compress=zstd"}},
	{"custom-lz4", 16, "menagerie", 0, []string{"-Fc", "--compress=lz4"}},
	{"directory-zstd", 16, "menagerie", 0, []string{"-Fd", "--compress=zstd:3"}},
	{"directory-lz4", 16, "banker", 0, []string{"-Fd", "--compress=lz4"}},
	{"directory-zstd-parallel", 16, "banker", 0, []string{"-Fd", "--compress=zstd", "-j2"}},
}

// servers are those of the samples: the oldest and the newest that a test covers.
func servers(t testing.TB) []*pgtest.Server {
	t.Helper()
	list := []*pgtest.Server{pgtest.Host(t), pgtest.SharedContainer(t, 17)}
	if wide() {
		list = append(list, pgtest.SharedContainer(t, 13), pgtest.SharedContainer(t, 18))
	}
	return list
}

var samples = []struct {
	name   string
	create func(testing.TB, *pgtest.Server) string
}{
	{"menagerie", pgtest.Menagerie}, // in which inherited columns change their places on the way
	{"banker", banker},
	{"pagila", pgtest.Pagila},
}

// What stock pg_dump writes, in whatever form, we restore as it was.
func TestFromStock(t *testing.T) {
	for _, s := range servers(t) {
		for _, sample := range samples {
			chosen := slices.Clone(forms)
			for i := len(chosen) - 1; i >= 0; i-- {
				if form := chosen[i]; s.Major < form.since || !wide() && !pgtest.Soak() && (form.major != 0 && form.major != s.Major || form.sample != sample.name) {
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
				for _, form := range chosen {
					if strings.Contains(form.name, "inserts") && sample.name == "menagerie" {
						continue // in it columns change places and -0 becomes 0, with pg_restore too
					}
					t.Run(form.name, func(t *testing.T) {
						path := stockDump(t, s, db, form.args...)
						oracle.Check(t, s, restored(t, s, path))
					})
				}
			})
		}
	}
}

// An archive moves to a newer server.
func TestFromStockToNewer(t *testing.T) {
	list := servers(t)
	for _, from := range list {
		for _, to := range list {
			if from.Major >= to.Major {
				continue
			}
			t.Run(itoa(from.Major)+"-to-"+itoa(to.Major), func(t *testing.T) {
				for _, sample := range samples {
					if sample.name != "menagerie" && !wide() && !pgtest.Soak() {
						continue // it has what they have
					}
					db := sample.create(t, from)
					path := stockDump(t, from, db, "-Fc")
					from.CopyRoles(t, db, to)
					stock := to.CreateDB(t, "TEMPLATE template0")
					file, err := os.Open(path)
					if err != nil {
						t.Fatal(err)
					}
					defer file.Close()
					to.Restore(t, stock, file)
					oracle := pgtest.NewOracle(t, from, db, to, stock)
					if to.Container != "" {
						oracle.Check(t, to, restored(t, to, path))
						continue
					}
					// This machine may lack the locales that images have.
					copied := to.CreateDB(t, "TEMPLATE template0")
					opts := options(t, to, copied)
					opts.InPlace = true
					if _, err := restore.FromArchive(t.Context(), open(t, path), opts); err != nil {
						t.Fatal(err)
					}
					oracle.CheckContent(t, to, copied)
				}
			})
		}
	}
}

// A pipe gives a custom archive once, from front to back.
func TestFromPipe(t *testing.T) {
	s := pgtest.SharedContainer(t, 17)
	db := pgtest.Menagerie(t, s)
	f, err := os.Open(stockDump(t, s, db, "-Fc", "--compress=zstd"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reader, err := archive.NewCustomReader(f)
	if err != nil {
		t.Fatal(err)
	}
	name := newName(t, s)
	if _, err := restore.FromPipe(t.Context(), reader, options(t, s, name)); err != nil {
		t.Fatal(err)
	}
	pgtest.NewOracle(t, s, db, s, s.Copy(t, db, s)).Check(t, s, name)
}

// An archive that is damaged where its rows are is found out from a pipe too, and leaves nothing.
func TestFromDamagedPipe(t *testing.T) {
	s := pgtest.Host(t)
	db := banker(t, s)
	cut := func(data []byte) []byte { return data[:len(data)*2/3] }
	flip := func(data []byte) []byte { data[len(data)*2/3] ^= 4; return data }
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		args   []string
	}{"cut": {cut, []string{"-Fc", "-Z0"}}, "gzip": {flip, []string{"-Fc"}}} {
		t.Run(name, func(t *testing.T) {
			path := stockDump(t, s, db, c.args...)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data = c.damage(data)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			reader, err := archive.NewCustomReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			before := s.Rows(t, "postgres", databases)
			if _, err := restore.FromPipe(t.Context(), reader, options(t, s, newName(t, s))); !isCorrupt(err) {
				t.Errorf("from a pipe: %v", err)
			}
			a, err := archive.Open(path)
			if err == nil {
				_, err = restore.FromArchive(t.Context(), a, options(t, s, newName(t, s)))
				a.Close()
			}
			if !isCorrupt(err) {
				t.Errorf("from a file: %v", err)
			}
			if after := s.Rows(t, "postgres", databases); len(after) != len(before) {
				t.Errorf("databases %v, before %v", after, before)
			}
		})
	}
}
