package archive

import (
	"fmt"
	"slices"
)

// Selection says which entries of an archive are restored, as pg_restore's options of the same
// names do. The zero value selects all.
type Selection struct {
	Sections       []Section
	Schemas        []string // exact names
	ExcludeSchemas []string
	Tables         []string // tables, views, sequences, with or without their schema
	ExcludeTables  []string
	// ExcludeTableData leaves out the rows of tables.
	ExcludeTableData []string
}

// HasSection reports whether a section is selected.
func (s *Selection) HasSection(section Section) bool {
	return len(s.Sections) == 0 || slices.Contains(s.Sections, section)
}

// IsPart reports whether what is selected belongs into a database that holds other things too.
func (s *Selection) IsPart() bool {
	return !s.HasSection(SectionPreData) || len(s.Schemas)+len(s.Tables) > 0
}

// Select returns a table of contents with the selected entries, which are shared with t.
// Settings and entries about the database as a whole are always among them. A name to be selected that the
// archive does not have is an error.
func (t *TOC) Select(s Selection) (*TOC, error) {
	if err := t.checkNames(s); err != nil {
		return nil, err
	}
	chosen := make(map[int]bool, len(t.Entries))
	var entries []*Entry
	for _, e := range t.Entries {
		if e.IsSetting() || e.IsDatabaseLevel() || t.selected(e, s, chosen) {
			chosen[e.ID] = true
			entries = append(entries, e)
		}
	}
	out := &TOC{Header: t.Header}
	return out, out.SetEntries(entries)
}

// checkNames finds names that match nothing: a slip that would leave out what is wanted.
func (t *TOC) checkNames(s Selection) error {
	has := func(match func(*Entry) bool) bool { return slices.ContainsFunc(t.Entries, match) }
	for _, name := range s.Schemas {
		if !has(func(e *Entry) bool { return e.Namespace.String == name || e.Desc == DescSchema && e.Tag == name }) {
			return fmt.Errorf("the archive has no schema %q", name)
		}
	}
	for _, name := range append(slices.Clone(s.Tables), s.ExcludeTableData...) {
		if !has(func(e *Entry) bool { return e.isRelation() && e.isNamed([]string{name}) }) {
			return fmt.Errorf("the archive has no table %q", name)
		}
	}
	return nil
}

func (t *TOC) selected(e *Entry, s Selection, chosen map[int]bool) bool {
	if !s.HasSection(t.Section(e)) {
		return false
	}
	if len(s.Schemas) > 0 && !slices.Contains(s.Schemas, e.Namespace.String) &&
		!(e.Desc == DescSchema && slices.Contains(s.Schemas, e.Tag)) {
		return false
	}
	if slices.Contains(s.ExcludeSchemas, e.Namespace.String) && e.Namespace.Valid ||
		e.Desc == DescSchema && slices.Contains(s.ExcludeSchemas, e.Tag) {
		return false
	}
	if e.isRows() && e.isNamed(s.ExcludeTableData) {
		return false
	}
	if len(s.Tables) == 0 && len(s.ExcludeTables) == 0 {
		return true
	}
	switch {
	case e.isRelation():
		return (len(s.Tables) == 0 || e.isNamed(s.Tables)) && !e.isNamed(s.ExcludeTables)
	case len(e.Deps) == 0:
		return len(s.Tables) == 0
	}
	// What belongs to a relation comes with it; so do its indexes and keys, where pg_restore wants
	// each of them named.
	for _, id := range e.Deps {
		if d := t.ByID(id); d != nil && d.isRelation() && !chosen[id] {
			return false
		}
	}
	return len(s.Tables) == 0 || slices.ContainsFunc(e.Deps, func(id int) bool {
		d := t.ByID(id)
		return chosen[id] && d != nil && !d.IsDatabaseLevel()
	})
}

// isRelation reports whether the entry is a relation, or the content of one.
func (e *Entry) isRelation() bool {
	switch e.Desc {
	case DescTable, "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE":
		return true
	}
	return e.isRows()
}

func (e *Entry) isRows() bool {
	return e.Desc == DescTableData || e.Desc == DescMatviewData || e.Desc == DescSequenceSet
}

// isNamed reports whether a list has the entry's name, alone or behind its schema's.
func (e *Entry) isNamed(names []string) bool {
	return slices.Contains(names, e.Tag) || slices.Contains(names, e.Namespace.String+"."+e.Tag)
}
