package compare

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/catalog"
)

// table is something that holds rows, or a partitioned table.
type table struct {
	name        string
	oid         int64
	partitioned bool
	parent      *int64 // the partitioned table it is a partition of
	unstable    bool   // its rows may lie in other partitions on another server
	kind        string
	populated   bool
	condition   *string // of an extension's configuration table: which rows are the user's
	bytes       int64
	names       []string // of columns, quoted
	types       []int64
	generated   bool // has generated columns
}

// tables lists the tables of a side, by name.
func (s *side) tables(ctx context.Context) (map[string]*table, error) {
	sql, err := s.dialect.Render("tables")
	if err != nil {
		return nil, err
	}
	rows, err := s.leader.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*table, error) {
		t := new(table)
		return t, row.Scan(&t.name, &t.oid, &t.partitioned, &t.parent, &t.unstable, &t.kind, &t.populated,
			&t.condition, &t.bytes, &t.names, &t.types, &t.generated)
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables of %s: %w", s.endpoint.Name, err)
	}
	byName := make(map[string]*table, len(list))
	for _, t := range list {
		byName[t.name] = t
	}
	return byName, nil
}

// readable returns the tables to read for all rows of a database: every table
// and partition, but one partitioned table for all partitions below it if rows
// may lie in others of them on the other side.
func readable(tables map[string]*table) []*table {
	byOID := make(map[int64]*table, len(tables))
	for _, t := range tables {
		byOID[t.oid] = t
	}
	units := make(map[*table]bool)
	for _, t := range tables {
		if t.partitioned {
			continue
		}
		unit := t
		for above := t; above.parent != nil; {
			above = byOID[*above.parent]
			if above == nil {
				break
			}
			if above.unstable {
				unit = above
			}
		}
		units[unit] = true
		if unit != t {
			unit.bytes += t.bytes
		}
	}
	list := make([]*table, 0, len(units))
	for t := range units {
		list = append(list, t)
	}
	return list
}

// rowsUnit plans to compare the rows of one table: its own columns that both
// sides have. Others are differences already.
func rowsUnit(from, to *table, binary bool) *unit {
	var columns []string
	for i, name := range from.names {
		j := slices.Index(to.names, name)
		if j < 0 {
			continue
		}
		columns = append(columns, name)
		binary = binary && from.types[i] == to.types[j] && catalog.BinarySafe([]uint32{uint32(from.types[i])})
	}
	return &unit{
		kind: from.kind, object: from.name, bytes: from.bytes, binary: binary,
		from: from.copyOut(columns, binary), to: to.copyOut(columns, binary),
	}
}

// copyOut returns the COPY of a table's rows.
func (t *table) copyOut(columns []string, binary bool) string {
	list := strings.Join(columns, ", ")
	source := t.name + " (" + list + ")"
	switch {
	case t.partitioned:
		source = "(SELECT " + list + " FROM " + t.name + ")"
	case len(columns) == 0 || t.generated || t.condition != nil || t.kind != "table":
		condition := ""
		if t.condition != nil {
			condition = " " + *t.condition
		}
		source = "(SELECT " + list + " FROM ONLY " + t.name + condition + ")"
	}
	if binary {
		return "COPY " + source + " TO STDOUT (FORMAT binary)"
	}
	return "COPY " + source + " TO STDOUT"
}
