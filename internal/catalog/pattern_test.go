package catalog_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// A pattern matches what pg_dump takes for it.
func TestMatch(t *testing.T) {
	host := pgtest.Host(t)
	db := host.CreateDB(t)
	host.Exec(t, db, `
CREATE SCHEMA one; CREATE SCHEMA "Two 2"; CREATE SCHEMA hidden;
ALTER DATABASE `+db+` SET search_path = one, public;
CREATE TABLE public.a (x int); CREATE TABLE one.a (x int); CREATE TABLE "Two 2".a (x int); CREATE TABLE hidden.a (x int);
CREATE TABLE one."A" (x int); CREATE TABLE one.ab (x int); CREATE TABLE public.b (x int);
CREATE TABLE one."a.b" (x int); CREATE TABLE one."a b" (x int); CREATE TABLE one."q""q" (x int); CREATE TABLE one."a*" (x int);
CREATE TABLE one."x[]" (x int); CREATE TABLE one."cash$" (x int); CREATE TABLE one."back\slash" (x int); CREATE TABLE one."ä" (x int);
CREATE TABLE one."x|y" (x int); CREATE TABLE one.c1 (x int); CREATE TABLE one.c2 (x int);
CREATE TABLE one.parted (x int) PARTITION BY LIST (x); CREATE TABLE one.part PARTITION OF one.parted DEFAULT;
CREATE VIEW one.view AS SELECT 1; CREATE MATERIALIZED VIEW one.matview AS SELECT 1; CREATE SEQUENCE one.seq;
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE one.far (x int) SERVER s;`)
	conn := open(t, host, db, host.User)
	for _, pattern := range []string{
		"a", "A", `"A"`, `"a"`, "a*", "a?", "A*", "*", "?", `"a*"`, "*.a", "one.*", "ONE.a", `"Two 2".a`, `"Two 2".*`, "two*.a", `*"Two"*.a`,
		"one.a.b", `one."a.b"`, `one."a"."b"`, `"a b"`, "a b", `"q""q"`, `q"""q"`, `""""`, "x[]", "[x]", "c[12]", "c[^1]", "x|y", "(a|b)", "a|c1", "cash$", `"cash$"`, "a$",
		`"back\slash"`, `back\\slash`, "ä", "pa*", "view", "matview", "seq", "far", "public.*", "hidden.a", "a+", `"a+"`, "nothing", ".a", "one.", "", ".", "(", `\`,
	} {
		want, dumpErr := dumped(t, host, db, pattern)
		do(t, conn, "SAVEPOINT s")
		got, err := catalog.Match(t.Context(), conn, []string{pattern})
		if err != nil {
			do(t, conn, "ROLLBACK TO s")
		}
		if refused := strings.Contains(dumpErr, "invalid regular expression") || strings.Contains(dumpErr, "cross-database"); (err != nil) != refused {
			t.Errorf("%s: we say %v, pg_dump %s", pattern, err, dumpErr)
		}
		var oids []uint32
		for oid := range got {
			oids = append(oids, oid)
		}
		// Of the catalogs, which "*" matches, the dump lists the indexes as well.
		system := func(oid uint32) bool { return oid < 16384 }
		oids, want = slices.DeleteFunc(oids, system), slices.DeleteFunc(want, system)
		slices.Sort(oids)
		if !slices.Equal(oids, want) {
			t.Errorf("%s: matches %v, pg_dump dumps %v (%s)", pattern, oids, want, dumpErr)
		}
	}
	got, err := catalog.Match(t.Context(), conn, []string{"one.c1", "c2", "c1"})
	if err != nil || len(got) != 2 {
		t.Errorf("several patterns match %v: %v", got, err)
	}
	var path string
	if err := conn.QueryRow(t.Context(), "SHOW search_path").Scan(&path); err != nil || path != `""` {
		t.Errorf("the search path is left as %s: %v", path, err)
	}
	for _, pattern := range []string{`"a`, `a"""`, "a.b.c"} {
		if _, err := catalog.ParsePattern(pattern); err == nil {
			t.Errorf("pattern %s is taken", pattern)
		}
	}
}

var relationLine = regexp.MustCompile(`(?m)^\d+; 1259 (\d+) `)

// dumped returns the OIDs of the relations pg_dump selects.
func dumped(t *testing.T, s *pgtest.Server, db, pattern string) (oids []uint32, message string) {
	t.Helper()
	var stderr strings.Builder
	dump := s.Client(t, s.Major, db, "pg_dump", "--format=custom", "--schema-only", "--table="+pattern)
	dump.Stderr = &stderr
	archive, err := dump.Output()
	if err != nil {
		return nil, stderr.String()
	}
	list := exec.Command(pgtest.BinDir(t)+"/pg_restore", "--list")
	list.Stdin = strings.NewReader(string(archive))
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range relationLine.FindAllStringSubmatch(string(out), -1) {
		oid, err := strconv.ParseUint(m[1], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		oids = append(oids, uint32(oid))
	}
	slices.Sort(oids)
	return oids, ""
}
