package restore

import (
	"slices"
	"strings"

	"github.com/pgberth/pgberth/archive"
)

// plan is an archive's entries, sorted by when and how they are restored.
type plan struct {
	database  []*archive.Entry // about the database as a whole
	preData   []*archive.Entry // one after the other, in one transaction
	objects   []*archive.Entry // metadata of large objects, before their contents
	parallel  []*archive.Entry // rows and post-data, by dependency
	sequences []*archive.Entry
	last      []*archive.Entry // event triggers: they could meddle with all the others
	blobs     bool             // there are contents of large objects
	tables    int              // with rows
	bytes     int64            // of all rows, as the source estimates them
}

func newPlan(toc *archive.TOC, opts archive.RestoreOptions) plan {
	var p plan
	for _, e := range toc.Entries {
		switch {
		case e.IsSetting() || opts.Skips(e):
		case e.IsDatabaseLevel():
			p.database = append(p.database, e)
		case e.Parts() == 0:
		case e.Desc == archive.DescBlob || e.Desc == archive.DescBlobMetadata || isAbout(e, "LARGE OBJECT ") && !e.IsACL():
			p.objects = append(p.objects, e)
		case e.Desc == archive.DescBlobs:
			p.blobs = true
		case e.Desc == archive.DescSequenceSet:
			p.sequences = append(p.sequences, e)
		case isEventTrigger(e):
			p.last = append(p.last, e)
		case e.Pass() == archive.PassMain && toc.Section(e) == archive.SectionPreData:
			p.preData = append(p.preData, e)
		default:
			p.parallel = append(p.parallel, e)
		}
	}
	return p
}

func isEventTrigger(e *archive.Entry) bool {
	return e.Desc == archive.DescEventTrigger || isAbout(e, "EVENT TRIGGER ")
}

// isAbout reports whether the entry is a comment, label or privilege of an
// object of some type.
func isAbout(e *archive.Entry, object string) bool {
	return (e.Desc == archive.DescComment || e.Desc == archive.DescSecurityLabel || e.IsACL()) && strings.HasPrefix(e.Tag, object)
}

// find returns the database-level entry of a type.
func (p *plan) find(desc string) *archive.Entry {
	i := slices.IndexFunc(p.database, func(e *archive.Entry) bool { return e.Desc == desc })
	if i < 0 {
		return nil
	}
	return p.database[i]
}
