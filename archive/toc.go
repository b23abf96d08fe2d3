package archive

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// TOC is an archive's table of contents. The methods that look entries up work on the
// list SetEntries was given last; ReadTOC calls it.
type TOC struct {
	Header  Header
	Entries []*Entry // in archive order

	byID     map[int]*Entry
	sections map[int]Section
	data     map[int][]*Entry
	children map[int][]int // ids of the tables that depend on an entry
}

// ReadTOC reads header and entries from the start of an archive. It consumes more than
// the table of contents; to go on to the data of a custom archive use [NewCustomReader].
//
// Input is not trusted: memory grows only with bytes that are really there.
func ReadTOC(r io.Reader) (*TOC, error) {
	return readTOC(newDecoder(r))
}

func readTOC(d *decoder) (*TOC, error) {
	t := new(TOC)
	if err := t.Header.read(d); err != nil {
		return nil, err
	}
	entries, err := readEntries(d, &t.Header)
	if err != nil {
		return nil, err
	}
	if err := t.SetEntries(entries); err != nil {
		return nil, d.corruptErr(err)
	}
	return t, nil
}

func readEntries(d *decoder, h *Header) ([]*Entry, error) {
	n, err := d.int("entry count")
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, d.corrupt("entry count %d", n)
	}
	var entries []*Entry
	for range n {
		e, err := readEntry(d, h)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// SetEntries replaces the entries. Their ids must be unique and above 0.
func (t *TOC) SetEntries(entries []*Entry) error {
	byID := make(map[int]*Entry, len(entries))
	sections := make(map[int]Section, len(entries))
	data := make(map[int][]*Entry)
	children := make(map[int][]int)
	section := SectionPreData
	for _, e := range entries {
		if e.ID <= 0 {
			return fmt.Errorf("entry %q has id %d", e.Name(), e.ID)
		}
		if byID[e.ID] != nil {
			return fmt.Errorf("entries %q and %q share id %d", byID[e.ID].Name(), e.Name(), e.ID)
		}
		byID[e.ID] = e
		if e.Section >= SectionPreData && e.Section <= SectionPostData {
			section = e.Section
		}
		sections[e.ID] = section
		if e.Desc == DescTableData && len(e.Deps) > 0 {
			data[e.Deps[0]] = append(data[e.Deps[0]], e)
		}
		if e.Desc == DescTable {
			for _, id := range e.Deps {
				children[id] = append(children[id], e.ID)
			}
		}
	}
	t.Entries, t.byID, t.sections, t.data, t.children = entries, byID, sections, data, children
	return nil
}

// ByID returns the entry with an id, or nil.
func (t *TOC) ByID(id int) *Entry { return t.byID[id] }

// MaxID is the largest id in use.
func (t *TOC) MaxID() int {
	largest := 0
	for _, e := range t.Entries {
		largest = max(largest, e.ID)
	}
	return largest
}

// TableData returns the entries that hold rows of the TABLE entry with an id: none, one,
// or several where an archive splits a table.
func (t *TOC) TableData(tableID int) []*Entry { return t.data[tableID] }

// RowsBelow returns the TABLE DATA entries of a table, and of its partitions and those that inherit from it.
// pg_dump says of a partition's rows only which partition they are of.
func (t *TOC) RowsBelow(tableID int) []*Entry {
	var rows []*Entry
	seen := map[int]bool{}
	for queue := []int{tableID}; len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		if e := t.byID[id]; seen[id] || e == nil || e.Desc != DescTable {
			continue
		}
		seen[id] = true
		rows = append(rows, t.data[id]...)
		queue = append(queue, t.children[id]...)
	}
	return rows
}

// Section is the part of a restore an entry belongs to. Comments, privileges and
// labels are in none of their own: they go with the entry before them.
func (t *TOC) Section(e *Entry) Section {
	if s, ok := t.sections[e.ID]; ok {
		return s
	}
	return e.Section
}

// Find returns the entries of a type, in archive order.
func (t *TOC) Find(desc string) []*Entry {
	var found []*Entry
	for _, e := range t.Entries {
		if e.Desc == desc {
			found = append(found, e)
		}
	}
	return found
}

func (t *TOC) first(desc string) *Entry {
	for _, e := range t.Entries {
		if e.Desc == desc {
			return e
		}
	}
	return nil
}

// DatabaseName is the name of the database that was dumped.
func (t *TOC) DatabaseName() string {
	if e := t.first(DescDatabase); e != nil {
		return e.Tag
	}
	return t.Header.DBName.String
}

// Encoding is the client encoding of the archive's texts and rows.
func (t *TOC) Encoding() string {
	if s, ok := t.setting(DescEncoding); ok {
		return s
	}
	return "SQL_ASCII"
}

// StdStrings reports whether backslashes in the archive's plain string literals are ordinary characters.
func (t *TOC) StdStrings() bool {
	s, _ := t.setting(DescStdStrings)
	return s == "on"
}

// SearchPath is the statement that sets the search path the archive's SQL relies on, or
// empty where an old archive relies on one path for each entry.
func (t *TOC) SearchPath() string {
	if e := t.first(DescSearchPath); e != nil {
		return e.Defn.String
	}
	return ""
}

// setting is the text between the first pair of quotes of a setting entry.
func (t *TOC) setting(desc string) (string, bool) {
	e := t.first(desc)
	if e == nil {
		return "", false
	}
	_, rest, ok := strings.Cut(e.Defn.String, "'")
	if !ok {
		return "", false
	}
	value, _, ok := strings.Cut(rest, "'")
	return value, ok
}

// WriteTo writes header and entries. What ReadTOC read comes out byte for byte,
// as long as the archive was written by pg_dump.
func (t *TOC) WriteTo(w io.Writer) (int64, error) {
	if !t.Header.supported() {
		return 0, &VersionError{t.Header.Major, t.Header.Minor}
	}
	if !validSize(t.Header.IntSize) || !validSize(t.Header.OffSize) {
		return 0, fmt.Errorf("write table of contents: integer size %d, offset size %d", t.Header.IntSize, t.Header.OffSize)
	}
	if c := t.Header.Compression; !t.Header.hasAlgo() && c != CompressionNone && c != CompressionGzip {
		return 0, fmt.Errorf("write table of contents: version %s knows no compression %s", t.Header.Version(), c)
	}
	enc := newEncoder(w, &t.Header)
	t.Header.write(enc)
	enc.int(len(t.Entries))
	for _, e := range t.Entries {
		e.write(enc, &t.Header)
	}
	if err := enc.flush(); err != nil {
		return enc.off, fmt.Errorf("write table of contents: %w", err)
	}
	return enc.off, nil
}

func readEntry(d *decoder, h *Header) (*Entry, error) {
	r := entryReader{d: d}
	e := &Entry{
		ID:        r.int("entry id"),
		HadDumper: r.int("data flag"),
		TableOID:  r.oid("catalog oid"),
		OID:       r.oid("object oid"),
		Tag:       r.text("tag"),
		Desc:      r.text("type"),
		Section:   Section(r.int("section")),
		Defn:      r.string("definition"),
		DropStmt:  r.string("drop statement"),
		CopyStmt:  r.string("copy statement"),
		Namespace: r.string("schema"),
	}
	e.Tablespace = r.string("tablespace")
	if h.hasTableAM() {
		e.TableAM = r.string("access method")
	}
	if h.hasRelKind() {
		e.RelKind = r.int("relation kind")
	}
	e.Owner = r.string("owner")
	e.WithOIDs = r.text("oids flag")
	e.Deps = r.deps()
	if h.hasOffsets() {
		e.Offset = r.offset()
	} else {
		e.FileName = r.text("file name")
	}
	if r.err == nil && e.ID <= 0 {
		r.err = d.corrupt("entry id %d", e.ID)
	}
	return e, r.err
}

// An entryReader reads fields until the first error, which sticks.
type entryReader struct {
	d   *decoder
	err error
}

func field[T any](r *entryReader, read func() (T, error)) T {
	var zero T
	if r.err != nil {
		return zero
	}
	v, err := read()
	if err != nil {
		r.err = err
		return zero
	}
	return v
}

func (r *entryReader) int(what string) int {
	return field(r, func() (int, error) { return r.d.int(what) })
}

func (r *entryReader) string(what string) NullString {
	return field(r, func() (NullString, error) { return r.d.string(what) })
}

func (r *entryReader) text(what string) string {
	return field(r, func() (string, error) { return r.d.text(what) })
}

func (r *entryReader) offset() Offset { return field(r, r.d.offset) }

func (r *entryReader) oid(what string) uint32 {
	return uint32(r.number(r.text(what), what, 32))
}

// deps reads decimal ids up to a NULL.
func (r *entryReader) deps() []int {
	var ids []int
	for {
		s := r.string("dependency")
		if r.err != nil || !s.Valid {
			return ids
		}
		ids = append(ids, int(r.number(s.String, "dependency", 31)))
	}
}

// number parses a number that is stored as text. Only the form pg_dump writes is taken,
// so that writing it again gives the same text.
func (r *entryReader) number(s, what string, bits int) uint64 {
	if r.err != nil {
		return 0
	}
	v, err := strconv.ParseUint(s, 10, bits)
	if err != nil || strconv.FormatUint(v, 10) != s {
		r.err = r.d.corrupt("%s: %.40q is not a number", what, s)
	}
	return v
}

func (e *Entry) write(enc *encoder, h *Header) {
	enc.int(e.ID)
	enc.int(e.HadDumper)
	enc.text(strconv.FormatUint(uint64(e.TableOID), 10))
	enc.text(strconv.FormatUint(uint64(e.OID), 10))
	enc.text(e.Tag)
	enc.text(e.Desc)
	enc.int(int(e.Section))
	enc.string(e.Defn)
	enc.string(e.DropStmt)
	enc.string(e.CopyStmt)
	enc.string(e.Namespace)
	enc.string(e.Tablespace)
	if h.hasTableAM() {
		enc.string(e.TableAM)
	}
	if h.hasRelKind() {
		enc.int(e.RelKind)
	}
	enc.string(e.Owner)
	enc.text(e.WithOIDs)
	for _, id := range e.Deps {
		enc.text(strconv.Itoa(id))
	}
	enc.string(NullString{})
	if h.hasOffsets() {
		enc.offset(e.Offset)
	} else {
		enc.text(e.FileName)
	}
}
