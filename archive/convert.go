package archive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// LayoutFor is the minor version of the newest archive layout that pg_restore of a major version reads.
func LayoutFor(pgRestore int) byte {
	switch {
	case pgRestore >= 17:
		return 16
	case pgRestore == 16:
		return 15
	}
	return 14
}

// Convert returns the table of contents in the layout of another version, from 1.14 to 1.16.
//
// Up to version 1.15 each large object is an entry of its own in the pre-data section, and one
// BLOBS entry has the contents of all of them; archives are brought to that. The other
// way nothing needs to change, since later versions of pg_restore read the old entries.
// Entries that stay as they are are shared with t.
func (t *TOC) Convert(minor byte) (*TOC, error) {
	if minor < 14 || minor > newestMinor {
		return nil, fmt.Errorf("convert archive: no layout 1.%d, only 1.14 to 1.%d", minor, newestMinor)
	}
	out := &TOC{Header: t.Header}
	out.Header.Minor = minor
	out.Header.Level = headerLevel(Codec{Compression: t.Header.Compression})
	entries := t.Entries
	if !out.Header.hasRelKind() {
		var err error
		if entries, err = t.withoutGroups(); err != nil {
			return nil, fmt.Errorf("convert archive: %w", err)
		}
		for i, e := range entries {
			if e.isPartitioned() {
				e = e.clone()
				e.TableAM = NullString{} // before version 1.16 partitioned tables had none
			}
			if e.RelKind != 0 {
				e = e.clone()
				e.RelKind = 0
			}
			entries[i] = e
		}
	}
	return out, out.SetEntries(entries)
}

func (e *Entry) clone() *Entry {
	c := *e
	c.Deps = slices.Clone(e.Deps)
	return &c
}

// withoutGroups turns groups of large objects into single ones.
func (t *TOC) withoutGroups() ([]*Entry, error) {
	u := ungrouper{toc: t, nextID: t.MaxID() + 1, ids: make(map[string]int)}
	var pre, rest []*Entry
	for _, e := range t.Entries {
		created, keep, err := u.entry(e)
		if err != nil {
			return nil, err
		}
		pre = append(pre, created...)
		if keep == nil {
			continue
		}
		if t.Section(e) == SectionPreData {
			pre = append(pre, keep)
		} else {
			rest = append(rest, keep)
		}
	}
	return append(pre, rest...), nil
}

type ungrouper struct {
	toc    *TOC
	nextID int
	ids    map[string]int // tag of a large object to its BLOB entry
	blobs  *Entry         // the one BLOBS entry
}

// entry returns the pre-data entries that replace an entry, or else what stays of it.
func (u *ungrouper) entry(e *Entry) (created []*Entry, keep *Entry, err error) {
	switch {
	case e.Desc == DescBlobMetadata:
		created, err = u.metadata(e)
		return created, nil, err
	case e.isGroupACL():
		created, err = u.privileges(e)
		return created, nil, err
	case e.isAnnotation() && strings.HasPrefix(e.Tag, "LARGE OBJECT "):
		c := e.clone()
		if id, ok := u.ids[strings.TrimPrefix(e.Tag, "LARGE OBJECT ")]; ok {
			c.Deps = []int{id}
		}
		return []*Entry{c}, nil, nil
	case e.Desc == DescBlobs && u.blobs == nil:
		u.blobs = e.clone()
		u.blobs.Tag, u.blobs.Owner, u.blobs.Deps, u.blobs.OID = DescBlobs, NullString{}, nil, 0
		return nil, u.blobs, nil
	case e.Desc == DescBlobs:
		return nil, nil, nil
	}
	return nil, e, nil
}

// metadata makes a BLOB entry for each large object of a group. The first one keeps the group's id.
func (u *ungrouper) metadata(e *Entry) ([]*Entry, error) {
	oids, err := e.LargeObjects()
	if err != nil {
		return nil, err
	}
	created := make([]*Entry, len(oids))
	for i, oid := range oids {
		tag := strconv.FormatUint(uint64(oid), 10)
		b := e.clone()
		if i > 0 {
			b.ID = u.newID()
		}
		b.Desc, b.Tag, b.OID, b.Section = DescBlob, tag, oid, SectionPreData
		b.Defn = String("SELECT pg_catalog.lo_create('" + tag + "');\n")
		b.DropStmt = String("SELECT pg_catalog.lo_unlink('" + tag + "');\n")
		u.ids[tag] = b.ID
		created[i] = b
	}
	return created, nil
}

// privileges makes an ACL entry for each large object of a group.
func (u *ungrouper) privileges(e *Entry) ([]*Entry, error) {
	oids, err := u.toc.group(e)
	if err != nil {
		return nil, err
	}
	created := make([]*Entry, len(oids))
	for i, oid := range oids {
		sql, err := privilegesOf(e, oid)
		if err != nil {
			return nil, err
		}
		tag := strconv.FormatUint(uint64(oid), 10)
		acl := e.clone()
		if i > 0 {
			acl.ID = u.newID()
		}
		acl.Tag = "LARGE OBJECT " + tag
		acl.Defn = String(strings.Join(sql, "\n") + "\n")
		acl.Section = SectionNone
		acl.Deps = []int{u.ids[tag]}
		created[i] = acl
	}
	return created, nil
}

func (u *ungrouper) newID() int {
	u.nextID++
	return u.nextID - 1
}
