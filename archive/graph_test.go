package archive

import (
	"fmt"
	"slices"
	"testing"
)

func testEntry(id int, desc string, section Section, deps ...int) *Entry {
	e := &Entry{ID: id, Desc: desc, Tag: fmt.Sprint(id), Section: section, Deps: deps}
	if desc == DescTableData {
		e.HadDumper = 1
	}
	return e
}

func ids(entries []*Entry) []int {
	var out []int
	for _, e := range entries {
		out = append(out, e.ID)
	}
	return out
}

// afterPreData are the entries a graph is for.
func afterPreData(toc *TOC) []*Entry {
	var out []*Entry
	for _, e := range toc.Entries {
		if toc.Section(e) != SectionPreData || e.Pass() != PassMain {
			out = append(out, e)
		}
	}
	return out
}

func TestGraph(t *testing.T) {
	toc := tocOf(t,
		testEntry(1, "TABLE", SectionPreData),
		testEntry(2, "TABLE", SectionPreData),
		testEntry(3, DescACL, SectionNone, 1),
		testEntry(10, DescTableData, SectionData, 1),
		testEntry(11, DescTableData, SectionData, 1), // one table in two parts
		testEntry(12, DescTableData, SectionData, 2),
		testEntry(20, DescIndex, SectionPostData, 1),
		testEntry(21, "CONSTRAINT", SectionPostData, 1),
		testEntry(22, DescIndex, SectionPostData, 2, 999, 2),
		testEntry(23, "FK CONSTRAINT", SectionPostData, 1, 2, 21),
		testEntry(30, DescMatviewData, SectionPostData, 3609, 20),
	)
	costs := map[int]int64{10: 5, 11: 6, 12: 100, 22: 50}
	g := NewGraph(toc, afterPreData(toc), func(e *Entry) int64 { return costs[e.ID] })
	expect := func(want ...int) {
		t.Helper()
		if got := ids(g.Ready()); !slices.Equal(got, want) {
			t.Fatalf("ready: %v, want %v", got, want)
		}
	}
	start := func(ids ...int) {
		for _, id := range ids {
			g.Start(toc.ByID(id))
		}
	}
	done := func(ids ...int) {
		for _, id := range ids {
			g.Done(toc.ByID(id))
		}
	}
	expect(12, 11, 10) // the largest first
	start(12, 11, 10)
	expect()
	done(10)
	expect() // the other part of the table is missing
	done(12)
	expect(22)
	done(11)
	expect(21, 22, 20) // after the constraint comes the foreign key, which keeps index 22 out
	start(21)
	expect(22) // the constraint locks the table that index 20 is on
	done(21)
	expect(23, 22, 20) // and the foreign key keeps both indexes out
	start(23)
	expect() // and the foreign key locks both tables
	done(23)
	start(22, 20)
	if g.Conflicts(toc.ByID(22), toc.ByID(20)) || !g.Conflicts(toc.ByID(23), toc.ByID(22)) {
		t.Error("conflicts")
	}
	done(22)
	if g.Pass() != PassMain {
		t.Error("pass", g.Pass())
	}
	done(20)
	expect(3)
	if e := g.Next(); e.ID != 3 || g.Pass() != PassACL || g.Next() != nil {
		t.Error("privileges")
	}
	done(3)
	expect(30)
	start(30)
	done(30)
	if g.Len() != 0 || g.Next() != nil {
		t.Error("not at its end")
	}
}

// What begins the longest chain of work is not left to the end.
func TestGraphTakesLongChainsFirst(t *testing.T) {
	toc := tocOf(t,
		testEntry(1, DescTable, SectionPreData),
		testEntry(2, DescTable, SectionPreData),
		testEntry(3, DescTable, SectionPreData),
		testEntry(10, DescTableData, SectionData, 1),
		testEntry(11, DescTableData, SectionData, 2),
		testEntry(12, DescTableData, SectionData, 3),
		testEntry(20, DescIndex, SectionPostData, 2),
		testEntry(21, DescIndex, SectionPostData, 3),
		testEntry(22, DescConstraint, SectionPostData, 3),
		testEntry(23, DescFKConstraint, SectionPostData, 2, 3, 22),
	)
	costs := map[int]int64{10: 100, 11: 30, 12: 10, 20: 60, 21: 40, 22: 50, 23: 45}
	g := NewGraph(toc, afterPreData(toc), func(e *Entry) int64 { return costs[e.ID] })
	// After table 2 come index and foreign key, one after the other: 135 in all.
	if got := ids(g.Ready()); !slices.Equal(got, []int{12, 11, 10}) {
		t.Errorf("ready %v", got)
	}
}

// An index that is marked in its table changes the table: another must not hold it meanwhile.
func TestGraphMarkedIndexes(t *testing.T) {
	marked := testEntry(21, DescIndex, SectionPostData, 1)
	marked.Defn = String("CREATE INDEX i ON t USING btree (a);\n\nALTER TABLE t CLUSTER ON i;\n")
	toc := tocOf(t, testEntry(1, DescTable, SectionPreData), testEntry(10, DescTableData, SectionData, 1),
		testEntry(20, DescIndex, SectionPostData, 1), marked)
	g := NewGraph(toc, afterPreData(toc), nil)
	if !g.Conflicts(toc.ByID(20), marked) {
		t.Error("no conflict")
	}
}

// An entry that is left out passes on what it waits for.
func TestGraphLooksThroughMissingEntries(t *testing.T) {
	toc := tocOf(t,
		testEntry(10, DescTableData, SectionData, 1),
		testEntry(20, "CONSTRAINT", SectionPostData, 10),
		testEntry(21, "FK CONSTRAINT", SectionPostData, 20),
	)
	g := NewGraph(toc, []*Entry{toc.ByID(10), toc.ByID(21)}, nil)
	if got := ids(g.Ready()); !slices.Equal(got, []int{10}) {
		t.Errorf("ready: %v", got)
	}
}

func TestGraphBreaksCircles(t *testing.T) {
	toc := tocOf(t,
		testEntry(1, "RULE", SectionPostData, 2),
		testEntry(2, "RULE", SectionPostData, 1),
		testEntry(3, "TRIGGER", SectionPostData, 3),
		testEntry(4, "TRIGGER", SectionPostData, 5),
		testEntry(5, DescMatviewData, SectionPostData),
	)
	g := NewGraph(toc, toc.Entries, nil)
	var order []int
	for e := g.Next(); e != nil; e = g.Next() {
		order = append(order, e.ID)
		g.Done(e)
	}
	// What waits for a refresh runs with the refreshes.
	if !slices.Equal(order, []int{3, 1, 2, 5, 4}) {
		t.Error(order)
	}
}

// Whoever grants something in another's name must be let into its schema first.
func TestGraphPrivileges(t *testing.T) {
	for _, tag := range []string{`SCHEMA zoo`, `SCHEMA Zoo Two`, `SCHEMA "Zoo Two"`} {
		schema := testEntry(9, DescACL, SectionNone, 1)
		schema.Tag = tag
		table := testEntry(8, DescACL, SectionNone, 2)
		table.Namespace = String("zoo")
		if tag != "SCHEMA zoo" {
			table.Namespace = String("Zoo Two")
		}
		toc := tocOf(t, testEntry(1, DescSchema, SectionPreData), testEntry(2, DescTable, SectionPreData), table, schema)
		g := NewGraph(toc, []*Entry{table, schema}, nil)
		if got := ids(g.Ready()); !slices.Equal(got, []int{9}) {
			t.Fatalf("%s: ready %v, want the schema's", tag, got)
		}
		g.Start(schema)
		g.Done(schema)
		if got := ids(g.Ready()); !slices.Equal(got, []int{8}) {
			t.Errorf("%s: ready %v, want the table's", tag, got)
		}
	}
}

// A trigger of a partitioned table must not fire for rows that were there before it.
func TestGraphPartitions(t *testing.T) {
	toc := tocOf(t,
		testEntry(1, DescTable, SectionPreData),
		testEntry(2, DescTable, SectionPreData, 1),
		testEntry(3, DescTable, SectionPreData, 2),
		testEntry(4, DescTable, SectionPreData),
		testEntry(12, DescTableData, SectionData, 2),
		testEntry(13, DescTableData, SectionData, 3),
		testEntry(14, DescTableData, SectionData, 4),
		testEntry(20, "TRIGGER", SectionPostData, 1),
	)
	g := NewGraph(toc, afterPreData(toc), nil)
	for _, id := range []int{14, 12} {
		g.Start(toc.ByID(id))
		g.Done(toc.ByID(id))
	}
	if got := ids(g.Ready()); !slices.Equal(got, []int{13}) {
		t.Fatalf("ready %v, want the rows of the last partition alone", got)
	}
	g.Start(toc.ByID(13))
	g.Done(toc.ByID(13))
	if got := ids(g.Ready()); !slices.Equal(got, []int{20}) {
		t.Errorf("ready %v, want the trigger", got)
	}
}

// What locks a table is not put off until nothing else uses the table.
func TestGraphDoesNotPutOffLocks(t *testing.T) {
	toc := tocOf(t,
		testEntry(1, DescTable, SectionPreData),
		testEntry(10, DescTableData, SectionData, 1),
		testEntry(20, DescIndex, SectionPostData, 1),
		testEntry(21, DescIndex, SectionPostData, 1),
		testEntry(22, DescConstraint, SectionPostData, 1),
	)
	costs := map[int]int64{10: 100, 20: 50, 21: 40, 22: 10}
	g := NewGraph(toc, afterPreData(toc), func(e *Entry) int64 { return costs[e.ID] })
	g.Start(toc.ByID(10))
	g.Done(toc.ByID(10))
	if got := ids(g.Ready()); !slices.Equal(got, []int{22, 20, 21}) {
		t.Errorf("ready %v", got)
	}
}
