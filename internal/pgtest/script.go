package pgtest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Script cuts a plain dump into lines, without what names the server's version. The rows of each COPY
// statement are sorted: their order says nothing, and those of partitions loaded through their root may
// lie in other partitions.
func Script(dump string) []string {
	var out []string
	rows := map[string][]string{}
	copying := ""
	for line := range strings.SplitSeq(dump, "\n") {
		switch {
		case copying != "" && line == `\.`:
			copying = ""
		case copying != "":
			rows[copying] = append(rows[copying], line)
		case strings.HasPrefix(line, "-- Dumped from database version"), strings.HasPrefix(line, "-- Dumped by pg_dump version"):
		default:
			out = append(out, line)
			if strings.HasPrefix(line, "COPY ") && strings.HasSuffix(line, " FROM stdin;") {
				copying = line
			}
		}
	}
	for _, statement := range slices.Sorted(maps.Keys(rows)) {
		slices.Sort(rows[statement])
		out = append(append(out, statement), rows[statement]...)
	}
	return out
}

// An Oracle is what one pg_dump must write of a copy of a database: of the database itself what it writes of
// the original, of all that is in it what it writes of the copy that stock pg_dump and pg_restore make. Even
// that may differ from the original: in the order of inherited columns, and in the words of another version.
type Oracle struct {
	major             int
	name              string
	database, content []string
	forgotten         string
}

// NewOracle makes the oracle for copies of a database on a target, where a stock copy is. That may be the
// database itself if nothing in it changes on the way.
func NewOracle(t testing.TB, source *Server, db string, target *Server, stock string) *Oracle {
	t.Helper()
	o := &Oracle{major: max(source.Major, target.Major), name: db}
	o.database, _ = o.script(t, source, db)
	_, o.content = o.script(t, target, stock)
	return o
}

// Check compares a copy with what it must be.
func (o *Oracle) Check(t testing.TB, s *Server, db string) {
	t.Helper()
	database, content := o.script(t, s, db)
	if diff := cmp.Diff(o.database, database); diff != "" {
		t.Errorf("pg_dump %d finds the database itself different (-want +got):\n%.8000s", o.major, diff)
	}
	o.checkContent(t, content)
}

// CheckContent is Check for a copy that was loaded into a database made by hand.
func (o *Oracle) CheckContent(t testing.TB, s *Server, db string) {
	t.Helper()
	_, content := o.script(t, s, db)
	o.checkContent(t, content)
}

func (o *Oracle) checkContent(t testing.TB, content []string) {
	t.Helper()
	if diff := cmp.Diff(o.content, content); diff != "" {
		t.Errorf("pg_dump %d finds differences (-want +got):\n%.8000s", o.major, diff)
	}
}

// Forget leaves lines that start so out of account.
func (o *Oracle) Forget(prefix string) *Oracle {
	forgetful := *o
	forgetful.content = without(o.content, prefix)
	forgetful.forgotten = prefix
	return &forgetful
}

func without(lines []string, prefix string) []string {
	if prefix == "" {
		return lines
	}
	var out []string
	for i, line := range lines {
		// An empty line follows each statement.
		if !strings.HasPrefix(line, prefix) && (i == 0 || line != "" || !strings.HasPrefix(lines[i-1], prefix)) {
			out = append(out, line)
		}
	}
	return out
}

// script dumps a database as if it had the original's name: what is about itself, and what is in it.
func (o *Oracle) script(t testing.TB, s *Server, db string) (database, content []string) {
	t.Helper()
	lines := Script(strings.ReplaceAll(s.DumpWith(t, o.major, db, "--create"), db, o.name)) // no other thing has such a name
	last := 0
	for i, line := range lines {
		if strings.HasPrefix(line, `\connect`) {
			last = i
		}
	}
	// Privileges come last.
	own := false
	for _, line := range lines[last:] {
		if strings.HasPrefix(line, "-- Name: ") {
			own = strings.HasPrefix(line, "-- Name: DATABASE ")
		}
		if own {
			database = append(database, line)
		} else {
			content = append(content, line)
		}
	}
	return append(slices.Clone(lines[:last]), database...), without(content, o.forgotten)
}
