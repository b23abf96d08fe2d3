package dump

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/catalog"
)

// complete adds the entries that pg_dump leaves out with the rows: TABLE DATA,
// SEQUENCE SET and MATERIALIZED VIEW DATA, as it would have written them.
func (l *Live) complete(ctx context.Context, filter Filter) error {
	excluded, err := catalog.Match(ctx, l.snapshot.leader, filter.ExcludeTableData)
	if err != nil {
		return err
	}
	if len(filter.ExcludeTableData) > 0 && len(excluded) == 0 {
		return fmt.Errorf("no table matches --exclude-table-data")
	}
	dropped, err := catalog.Match(ctx, l.snapshot.leader, filter.ExcludeTables)
	if err != nil {
		return err
	}
	b := builder{live: l, next: l.toc.MaxID() + 1, byOID: map[uint32]*archive.Entry{}, extensions: map[string]*archive.Entry{}}
	for _, e := range l.toc.Entries {
		switch e.Desc {
		case archive.DescTable, "SEQUENCE", "MATERIALIZED VIEW":
			b.byOID[e.OID] = e
		case "EXTENSION":
			b.extensions[e.Tag] = e
		}
	}
	skip := func(oid uint32) bool { return excluded[oid] || dropped[oid] }
	l.tables = map[int]*catalog.Table{}
	rows := b.tableData(skip)
	sets := b.sequenceSets(skip)
	refreshes := b.matviewData(skip)
	if err := l.toc.SetEntries(place(l.toc, rows, sets, refreshes)); err != nil {
		return err
	}
	waitForPartitions(l.toc)
	waitForSchemas(l.toc)
	return nil
}

// waitForPartitions makes triggers and keys of a partitioned table depend on the
// rows of its partitions. pg_dump leaves that out, and a pg_restore with several
// jobs may then have the trigger fire for rows that it loads.
func waitForPartitions(toc *archive.TOC) {
	for _, e := range toc.Entries {
		if e.Section != archive.SectionPostData {
			continue
		}
		for _, id := range e.Deps {
			if len(toc.TableData(id)) > 0 {
				continue // pg_restore sees to that
			}
			for _, rows := range toc.RowsBelow(id) {
				e.Deps = append(e.Deps, rows.ID)
			}
		}
	}
}

// waitForSchemas makes the privileges of what is in a schema depend on those of
// the schema: a grant in somebody else's name needs them. pg_dump leaves that
// out too.
func waitForSchemas(toc *archive.TOC) {
	schemas := toc.SchemaPrivileges()
	for _, e := range toc.Find(archive.DescACL) {
		if id := schemas[e.Namespace.String]; id != 0 && e.Namespace.Valid {
			e.Deps = append(e.Deps, id)
		}
	}
}

// place puts rows and sequence values where pg_dump has them, before all other
// data, and refreshes at the end.
func place(toc *archive.TOC, rows, sets, refreshes []*archive.Entry) []*archive.Entry {
	var out []*archive.Entry
	placed := false
	for _, e := range toc.Entries {
		if !placed && toc.Section(e) >= archive.SectionData {
			out, placed = append(append(out, rows...), sets...), true
		}
		out = append(out, e)
	}
	if !placed {
		out = append(append(out, rows...), sets...)
	}
	return append(out, refreshes...)
}

// builder makes entries with ids of their own.
type builder struct {
	live       *Live
	next       int
	byOID      map[uint32]*archive.Entry
	extensions map[string]*archive.Entry
}

// source is the entry an object's data belongs to: its own, or its
// extension's. It is nil if the archive does not hold the object.
func (b *builder) source(oid uint32, extension string) *archive.Entry {
	if e := b.byOID[oid]; e != nil {
		return e
	}
	if extension != "" {
		return b.extensions[extension]
	}
	return nil
}

func (b *builder) entry(of *archive.Entry, desc, schema, name string, section archive.Section) *archive.Entry {
	e := &archive.Entry{
		ID: b.next, Tag: name, Desc: desc, Section: section, Namespace: archive.String(schema),
		Owner: of.Owner, WithOIDs: "false", Deps: []int{of.ID}, Offset: archive.Offset{State: archive.OffsetNoData},
	}
	b.next++
	return e
}

func (b *builder) tableData(skip func(uint32) bool) []*archive.Entry {
	var entries []*archive.Entry
	tables := sorted(b.live.snapshot.Tables, func(t *catalog.Table) (string, string) { return t.Schema, t.Name })
	for _, t := range tables {
		of := b.source(t.OID, t.Extension)
		if of == nil || skip(t.OID) {
			continue
		}
		if t.Absent {
			b.live.absent = append(b.live.absent, t)
			continue
		}
		e := b.entry(of, archive.DescTableData, t.Schema, t.Name, archive.SectionData)
		e.HadDumper, e.OID = 1, t.OID
		e.CopyStmt = archive.String(t.CopyIn())
		e.Offset.State = archive.OffsetUnset
		if t.ViaRoot() {
			e.Defn = archive.String("-- load via partition root " + catalog.QuoteQualified(t.RootSchema, t.RootName))
		}
		b.live.tables[e.ID] = t
		entries = append(entries, e)
	}
	return entries
}

func (b *builder) sequenceSets(skip func(uint32) bool) []*archive.Entry {
	var entries []*archive.Entry
	sequences := sorted(b.live.snapshot.Sequences, func(s *catalog.Sequence) (string, string) { return s.Schema, s.Name })
	for _, s := range sequences {
		of := b.source(s.OID, s.Extension)
		if of == nil || skip(s.OID) {
			continue
		}
		e := b.entry(of, archive.DescSequenceSet, s.Schema, s.Name, archive.SectionData)
		e.OID = s.OID
		e.Defn = archive.String(s.SetSQL())
		entries = append(entries, e)
	}
	return entries
}

// matviewData refreshes what is populated at the source. Like pg_dump, it
// leaves out a view that reads one that is not: the refresh would fail.
func (b *builder) matviewData(skip func(uint32) bool) []*archive.Entry {
	views := map[uint32]*catalog.Matview{}
	for _, m := range b.live.snapshot.Matviews {
		if b.byOID[m.OID] != nil && !skip(m.OID) {
			views[m.OID] = m
		}
	}
	for changed := true; changed; {
		changed = false
		for _, m := range views {
			for _, used := range m.Uses {
				if u := views[used]; m.Populated && u != nil && !u.Populated {
					m.Populated, changed = false, true
				}
			}
		}
	}
	var entries []*archive.Entry
	byView := map[uint32]*archive.Entry{}
	for _, m := range usedFirst(b.live.snapshot.Matviews) {
		if views[m.OID] == nil || !m.Populated {
			continue
		}
		e := b.entry(b.byOID[m.OID], archive.DescMatviewData, m.Schema, m.Name, archive.SectionPostData)
		e.OID = m.OID
		e.Defn = archive.String(m.RefreshSQL())
		byView[m.OID] = e
		entries = append(entries, e)
	}
	for oid, e := range byView {
		for _, used := range views[oid].Uses {
			if u := byView[used]; u != nil {
				e.Deps = append(e.Deps, u.ID)
			}
		}
	}
	return entries
}

// sorted orders by schema and name, as pg_dump does, so that archives of the
// same objects are laid out alike.
func sorted[T any](list []T, name func(T) (schema, name string)) []T {
	return slices.SortedStableFunc(slices.Values(list), func(x, y T) int {
		xSchema, xName := name(x)
		ySchema, yName := name(y)
		return cmp.Or(cmp.Compare(xSchema, ySchema), cmp.Compare(xName, yName))
	})
}

// usedFirst orders materialized views so that each comes after those it reads:
// a serial pg_restore refreshes them in the order of the archive.
func usedFirst(views []*catalog.Matview) []*catalog.Matview {
	byOID := map[uint32]*catalog.Matview{}
	for _, m := range views {
		byOID[m.OID] = m
	}
	var order []*catalog.Matview
	seen := map[uint32]bool{}
	var add func(*catalog.Matview)
	add = func(m *catalog.Matview) {
		if m == nil || seen[m.OID] {
			return
		}
		seen[m.OID] = true
		for _, used := range m.Uses {
			add(byOID[used])
		}
		order = append(order, m)
	}
	for _, m := range sorted(views, func(m *catalog.Matview) (string, string) { return m.Schema, m.Name }) {
		add(m)
	}
	return order
}
