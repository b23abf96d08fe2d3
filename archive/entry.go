package archive

import "strings"

// NullString is a string of the archive, where NULL and the empty string differ.
// Its bytes are in the archive's encoding.
type NullString struct {
	String string
	Valid  bool // false is NULL
}

// String makes a NullString that is not NULL.
func String(s string) NullString { return NullString{s, true} }

// Section says in which part of a restore an entry belongs.
type Section int

const (
	SectionNone     Section = 1 // comments, privileges, labels: belongs with the entry before it
	SectionPreData  Section = 2
	SectionData     Section = 3
	SectionPostData Section = 4
)

// Entry types with a meaning of their own; the others are plain SQL.
const (
	DescEncoding           = "ENCODING"
	DescStdStrings         = "STDSTRINGS"
	DescSearchPath         = "SEARCHPATH"
	DescDatabase           = "DATABASE"
	DescDatabaseProperties = "DATABASE PROPERTIES"
	DescSchema             = "SCHEMA"
	DescTable              = "TABLE"
	DescTableData          = "TABLE DATA"
	DescSequenceSet        = "SEQUENCE SET"
	DescIndex              = "INDEX"
	DescConstraint         = "CONSTRAINT" // with an index: a key, or an exclusion
	DescFKConstraint       = "FK CONSTRAINT"
	DescMatviewData        = "MATERIALIZED VIEW DATA"
	DescBlob               = "BLOB"          // one large object, up to version 1.15
	DescBlobMetadata       = "BLOB METADATA" // a group of large objects, from version 1.16
	DescBlobs              = "BLOBS"         // contents of large objects
	DescComment            = "COMMENT"
	DescSecurityLabel      = "SECURITY LABEL"
	DescACL                = "ACL"
	DescACLLanguage        = "ACL LANGUAGE"
	DescDefaultACL         = "DEFAULT ACL"
	DescPolicy             = "POLICY"
	DescUserMapping        = "USER MAPPING"
	DescEventTrigger       = "EVENT TRIGGER"
	DescStatisticsData     = "STATISTICS DATA"
)

// OffsetState says what is known of where an entry's data lies in a custom archive.
type OffsetState byte

const (
	OffsetUnset  OffsetState = 1 // written to a pipe: the data must be looked for
	OffsetSet    OffsetState = 2
	OffsetNoData OffsetState = 3
)

// Offset is the place of an entry's data block in a custom archive.
type Offset struct {
	State OffsetState
	Pos   int64 // from the start of the archive, if State is OffsetSet
}

// Entry is one object of the table of contents, as the archive has it.
type Entry struct {
	ID            int // unique in the archive, above 0
	HadDumper     int // not 0: the entry has a data component
	TableOID, OID uint32
	Tag           string // the object's name, as a label
	Desc          string // the object's type
	Section       Section
	Defn          NullString // SQL that creates the object; may hold several statements
	DropStmt      NullString
	CopyStmt      NullString
	Namespace     NullString
	Tablespace    NullString // empty: the database's default
	TableAM       NullString // from version 1.14
	RelKind       int        // from version 1.16: pg_class.relkind, or 0
	Owner         NullString
	WithOIDs      string
	Deps          []int  // as stored: repeated ids and ids that are not in the archive occur
	Offset        Offset // custom archives
	FileName      string // directory and tar archives, without a compression suffix
}

// HasData reports whether the entry has rows or large objects stored with it.
func (e *Entry) HasData() bool { return e.HadDumper != 0 }

// IsSetting reports whether the entry is a session setting rather than an object:
// ENCODING, STDSTRINGS or SEARCHPATH.
func (e *Entry) IsSetting() bool {
	return e.Desc == DescEncoding || e.Desc == DescStdStrings || e.Desc == DescSearchPath
}

// IsACL reports whether the entry holds privileges.
func (e *Entry) IsACL() bool {
	return e.Desc == DescACL || e.Desc == DescACLLanguage || e.Desc == DescDefaultACL
}

// isAnnotation reports whether the entry says something about another object.
func (e *Entry) isAnnotation() bool {
	return e.Desc == DescACL || e.Desc == DescComment || e.Desc == DescSecurityLabel
}

// IsDatabaseLevel reports whether the entry is about the database as a whole: its creation,
// settings, comment, privileges and labels. pg_restore runs these with --create only.
func (e *Entry) IsDatabaseLevel() bool {
	return e.Desc == DescDatabase || e.Desc == DescDatabaseProperties ||
		e.isAnnotation() && strings.HasPrefix(e.Tag, "DATABASE ")
}

// Parts are the kinds of content an entry restores.
type Parts int

const (
	PartSchema Parts = 1 << iota
	PartData
	PartStatistics
)

// Parts says what the entry restores. An entry without any part is to be skipped.
func (e *Entry) Parts() Parts {
	var p Parts
	switch {
	case e.Desc == DescStatisticsData:
		p = PartStatistics
	case e.HasData():
		p = PartSchema | PartData
	case e.isDataKind():
		return PartData
	default:
		p = PartSchema
	}
	if e.Defn.String == "" {
		p &^= PartSchema | PartStatistics
	}
	if strings.HasPrefix(e.Defn.String, viaRootMarker) {
		p &^= PartSchema
	}
	return p
}

// isDataKind reports whether the entry's SQL counts as data although nothing is stored with it.
func (e *Entry) isDataKind() bool {
	switch e.Desc {
	case DescSequenceSet, DescBlob, DescBlobMetadata:
		return true
	}
	return e.isAnnotation() && strings.HasPrefix(e.Tag, "LARGE OBJECT")
}

const viaRootMarker = "-- load via partition root "

// LoadsViaRoot reports whether a TABLE DATA entry's rows go in through another table
// than the one the entry names, so that the named table may not be truncated for them.
func (e *Entry) LoadsViaRoot() bool {
	if e.Defn.Valid {
		return strings.HasPrefix(e.Defn.String, viaRootMarker)
	}
	return e.CopyStmt.Valid && !e.copiesIntoItself()
}

// Pass is the round of a restore in which an entry runs; rounds follow each other.
type Pass int

const (
	PassMain    Pass = iota
	PassACL          // privileges come after data, so that read-only tables can be filled
	PassPostACL      // refreshes and event triggers come after privileges
)

// Pass returns the round the entry runs in.
func (e *Entry) Pass() Pass {
	switch {
	case e.IsACL():
		return PassACL
	case e.Desc == DescEventTrigger, e.Desc == DescMatviewData:
		return PassPostACL
	case e.Desc == DescStatisticsData && e.Section == SectionPostData:
		return PassPostACL
	case (e.Desc == DescComment || e.Desc == DescSecurityLabel) && strings.HasPrefix(e.Tag, "EVENT TRIGGER "):
		return PassPostACL
	}
	return PassMain
}

// Name is the entry in words for messages: type, schema and tag.
func (e *Entry) Name() string {
	if e.Namespace.String == "" {
		return e.Desc + " " + e.Tag
	}
	return e.Desc + " " + e.Namespace.String + "." + e.Tag
}

// quotedName is the tag as an SQL name, qualified if the entry has a schema.
func (e *Entry) quotedName(quote func(string) string) string {
	if e.Namespace.String == "" {
		return quote(e.Tag)
	}
	return quote(e.Namespace.String) + "." + quote(e.Tag)
}

// copiesIntoItself reports whether the COPY statement fills the table that the entry names.
func (e *Entry) copiesIntoItself() bool {
	tokens := tokenize(e.CopyStmt.String)
	if !hasWords(tokens, "COPY") {
		return false
	}
	want := []string{e.Tag}
	if e.Namespace.String != "" {
		want = []string{e.Namespace.String, e.Tag}
	}
	for i, name := range want {
		at := 1 + 2*i
		if at >= len(tokens) || i > 0 && !tokens[at-1].is(".") {
			return false
		}
		if got, ok := tokens[at].name(); !ok || got != name {
			return false
		}
	}
	return true
}
