package dump

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/catalog"
)

// A view may read one that was made later, through a view that was replaced.
func TestUsedFirst(t *testing.T) {
	views := []*catalog.Matview{
		{OID: 1, Schema: "b", Name: "a", Uses: []uint32{3}},
		{OID: 2, Schema: "a", Name: "z"},
		{OID: 3, Schema: "c", Name: "a", Uses: []uint32{2, 9}},
		{OID: 4, Schema: "a", Name: "b"},
	}
	var got []uint32
	for _, m := range usedFirst(views) {
		got = append(got, m.OID)
	}
	if diff := cmp.Diff([]uint32{4, 2, 3, 1}, got); diff != "" {
		t.Error(diff)
	}
}
