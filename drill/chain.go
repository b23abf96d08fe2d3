package drill

import (
	"fmt"
	"slices"
)

// Broken says what is wrong with the chain of reports, each of which names the hash of the one before it about the
// same database: nothing, if none was changed, removed or put among them since it was written. Of the newest that is
// removed nothing tells. The reports named may also be among those known from elsewhere.
func Broken(list []*Stored, known ...*Stored) []string {
	list = slices.Clone(list)
	sortStored(list)
	elsewhere := map[string]bool{}
	for _, r := range known {
		elsewhere[r.Sum] = true
	}
	before := map[string]map[string]bool{} // hashes of the older ones of each database
	var broken []string
	for _, r := range list {
		older := before[r.Backup.Database]
		switch {
		case r.Published != "" && r.Published != r.Sum:
			broken = append(broken, fmt.Sprintf("report %s is not as it was published", r.ID))
		case r.Backup.Database == "": // what was drilled never became known
		case r.Previous == "" && len(older) > 0:
			broken = append(broken, fmt.Sprintf("report %s names none before it, and there are some about %s", r.ID, r.Backup.Database))
		case r.Previous != "" && !older[r.Previous] && !elsewhere[r.Previous]:
			broken = append(broken, fmt.Sprintf("the report about %s that report %s names as the one before it was changed or removed", r.Backup.Database, r.ID))
		}
		if older == nil {
			older = map[string]bool{}
			before[r.Backup.Database] = older
		}
		older[r.Sum] = true
		if kept := r.forRepository(); kept != r.Report { // the next one may name what a repository has of this
			if s, err := kept.Stored(); err == nil {
				older[s.Sum] = true
			}
		}
	}
	return broken
}
