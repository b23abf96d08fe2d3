package restore

import (
	"strings"

	"github.com/pgberth/pgberth/archive"
)

// validateApart splits each large foreign key in two: the key, not valid yet, which is made in no
// time, and its check. Together they would lock both tables; the check keeps only the indexes of its
// own table out, so that those of the other table, and other keys that refer to it, are at work
// beside it. next is the first free id.
//
// A tolerant run would be left with a key that is not valid where it should have none.
func (r *run) validateApart(entries []*archive.Entry, next int) []*archive.Entry {
	if r.Tolerant || r.Jobs == 1 {
		return entries
	}
	out := make([]*archive.Entry, 0, len(entries))
	for _, e := range entries {
		table := r.checkedTable(e)
		if table == nil {
			out = append(out, e)
			continue
		}
		key, check := *e, *e
		key.Defn.String = strings.TrimRight(e.Defn.String, "; \n") + " NOT VALID;\n"
		check.ID, check.Deps = next, []int{e.ID, table.ID}
		check.Defn.String = "ALTER TABLE ONLY " + quoteTable(table) + " VALIDATE CONSTRAINT " + archive.QuoteIdent(e.Tag[len(table.Tag)+1:]) + ";\n"
		r.costs[check.ID], r.costs[key.ID] = r.cost(e), 0
		out = append(out, &key, &check)
		next++
	}
	return out
}

// checkedTable is the table whose rows a foreign key is about, if the key is to be checked apart. For keys from
// partitioned tables, or to them, the server cannot, or would leave those of partitions not valid.
func (r *run) checkedTable(e *archive.Entry) (table *archive.Entry) {
	if e.Desc != archive.DescFKConstraint || r.cost(e) < smallWork || !strings.HasPrefix(e.Defn.String, "ALTER TABLE ONLY ") ||
		strings.Contains(e.Defn.String, "NOT VALID") || strings.Contains(e.Defn.String, "NOT ENFORCED") {
		return nil
	}
	for _, id := range e.Deps {
		dep := r.toc.ByID(id)
		if dep == nil || dep.Desc != archive.DescTable {
			continue
		}
		if strings.Contains(dep.Defn.String, "PARTITION BY") {
			return nil
		}
		if dep.Namespace == e.Namespace && strings.HasPrefix(e.Tag, dep.Tag+" ") {
			table = dep
		}
	}
	return table
}
