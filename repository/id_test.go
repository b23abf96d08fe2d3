package repository

import (
	"slices"
	"testing"
	"time"
)

// Backups of one second sort as they were made, and where a second has no more IDs the next one lends its own.
func TestIDsSortAsMade(t *testing.T) {
	now := time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)
	var taken []*Backup
	var ids []string
	for range 200 {
		id := newID(now, taken)
		if started, err := ParseID(id); err != nil || started.Before(now) || started.Sub(now) > time.Minute {
			t.Fatalf("%s: %v", id, err)
		}
		ids, taken = append(ids, id), append(taken, &Backup{ID: id})
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("%q", ids)
	}
}
