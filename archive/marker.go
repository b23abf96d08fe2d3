package archive

import (
	"fmt"
	"io/fs"
)

// DescMarker is the type of an entry of our own in the table of contents of an archive with a
// manifest: it tells a missing manifest from one that never was. It restores nothing; stock
// tools pass over types they do not know that have no definition.
const DescMarker = "PGBERTH"

// marked returns a table of contents with the marker at its end.
func (t *TOC) marked() (*TOC, error) {
	if t.first(DescMarker) != nil {
		return t, nil
	}
	marker := &Entry{ID: t.MaxID() + 1, Tag: ManifestName, Desc: DescMarker, Section: SectionNone, WithOIDs: "false",
		Offset: Offset{State: OffsetNoData}}
	out := &TOC{Header: t.Header}
	return out, out.SetEntries(append(append([]*Entry{}, t.Entries...), marker))
}

// missesManifest finds out whether there must have been a manifest.
func (t *TOC) missesManifest() error {
	if t.first(DescMarker) == nil {
		return nil
	}
	return &CorruptError{File: ManifestName, Err: fmt.Errorf("the file is missing: %w", fs.ErrNotExist)}
}
