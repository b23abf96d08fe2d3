package restore

import (
	"github.com/pgberth/pgberth/archive"
)

// Work is reckoned in bytes of rows that are copied. How much of it other things
// are was measured on tables of many types, and need only be about right: it
// decides what is begun first.
const (
	indexWork    = 3 // for a byte of an index whose size is known
	unknownIndex = 4 // an index of unknown size is a table's rows, divided by this
	foreignKey   = 8 // the rows of both tables, divided by this
	analyzeWork  = 4 // the rows that are sampled, divided by this

	// sampled bounds what ANALYZE reads: 30,000 pages with the default statistics target.
	sampled = 30_000 * 8192
)

// cost estimates the work an entry is.
func (r *run) cost(e *archive.Entry) int64 {
	if cost, known := r.costs[e.ID]; known {
		return cost
	}
	switch size := r.Source.Size(e); {
	case e.HasData():
		return size
	case e.Desc == descAnalyze:
		return min(r.rowsOf(e), sampled) / analyzeWork
	case e.Desc == archive.DescFKConstraint:
		return r.rowsOf(e) / foreignKey
	case size > 0:
		return size * indexWork
	case e.Desc == archive.DescIndex || e.Desc == archive.DescConstraint:
		return r.rowsOf(e) / unknownIndex
	}
	return 0
}

// rowsOf is the size of all rows of the tables that an entry is about.
func (r *run) rowsOf(e *archive.Entry) (sum int64) {
	for _, id := range e.Deps {
		for _, rows := range r.toc.RowsBelow(id) {
			sum += r.Source.Size(rows)
		}
	}
	return sum
}
