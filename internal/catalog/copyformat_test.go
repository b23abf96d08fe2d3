package catalog_test

import (
	"testing"

	"github.com/pgberth/pgberth/internal/catalog"
)

func TestBinarySafe(t *testing.T) {
	tests := []struct {
		name string
		oids []uint32
		want bool
	}{
		{"no columns", nil, true},
		{"built-in types", []uint32{20, 25, 1184, 1700, 3802, 2951}, true},
		{"tsvector", []uint32{20, 3614}, false},
		{"regclass holds an OID", []uint32{2205}, false},
		{"a user's type", []uint32{23, 16400}, false},
	}
	for _, test := range tests {
		if got := catalog.BinarySafe(test.oids); got != test.want {
			t.Errorf("%s: BinarySafe(%v) = %v, want %v", test.name, test.oids, got, test.want)
		}
	}
}
