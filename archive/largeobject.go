package archive

import (
	"fmt"
	"strconv"
	"strings"
)

// LargeObjects returns the oids of the large objects a BLOB or BLOB METADATA entry creates.
func (e *Entry) LargeObjects() ([]uint32, error) {
	var texts []string
	switch e.Desc {
	case DescBlob:
		texts = []string{e.Tag}
	case DescBlobMetadata:
		texts = strings.Fields(e.Defn.String)
	default:
		return nil, nil
	}
	oids := make([]uint32, len(texts))
	for i, s := range texts {
		oid, err := strconv.ParseUint(s, 10, 32)
		if err != nil || oid == 0 {
			return nil, fmt.Errorf("entry %q: %.40q is not the oid of a large object", e.Name(), s)
		}
		oids[i] = uint32(oid)
	}
	return oids, nil
}

// isGroupACL reports whether the entry holds the privileges of a group of large objects,
// written for its first member only.
func (e *Entry) isGroupACL() bool {
	return e.Desc == DescACL && strings.HasPrefix(e.Tag, "LARGE OBJECTS")
}

// group returns the large objects that the privileges of a group are for.
func (t *TOC) group(e *Entry) ([]uint32, error) {
	if len(e.Deps) == 0 || t.ByID(e.Deps[0]) == nil {
		return nil, fmt.Errorf("entry %q does not name the large objects it is for", e.Name())
	}
	return t.ByID(e.Deps[0]).LargeObjects()
}

// groupACL repeats the privileges of a group for each of its large objects.
func (t *TOC) groupACL(e *Entry) ([]string, error) {
	oids, err := t.group(e)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, oid := range oids {
		sql, err := privilegesOf(e, oid)
		if err != nil {
			return nil, err
		}
		out = append(out, sql...)
	}
	return out, nil
}

// privilegesOf is the text of a group's privileges for one of its large objects.
func privilegesOf(e *Entry, oid uint32) ([]string, error) {
	var out []string
	sql := e.Defn.String
	for _, tokens := range statements(sql) {
		at := largeObjectNumber(tokens)
		if at < 0 {
			return nil, fmt.Errorf("entry %q: statement without a large object: %.80q", e.Name(), sql)
		}
		out = append(out, sql[tokens[0].start:tokens[at].start]+strconv.FormatUint(uint64(oid), 10)+
			sql[tokens[at].end:tokens[len(tokens)-1].end]+";")
	}
	return out, nil
}

// largeObjectNumber is the place of the oid in GRANT ... ON LARGE OBJECT oid, or -1.
func largeObjectNumber(tokens []token) int {
	for i := range tokens {
		if hasWords(tokens[i:], "LARGE", "OBJECT") && i+2 < len(tokens) && tokens[i+2].kind == tokenNumber {
			return i + 2
		}
	}
	return -1
}
