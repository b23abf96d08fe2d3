package main

import (
	"slices"
	"strings"
	"testing"
)

func TestJoinFastLoad(t *testing.T) {
	for given, want := range map[string]string{
		"migrate --fast-load":                 "migrate --fast-load",
		"migrate --fast-load off --to x":      "migrate --fast-load=off --to x",
		"migrate --fast-load --to x":          "migrate --fast-load --to x",
		"migrate --fast-load=on restart":      "migrate --fast-load=on restart",
		"restore --fast-load restart shop":    "restore --fast-load=restart shop",
		"restore --fast-load shop":            "restore --fast-load shop",
		"restore -- --fast-load off":          "restore -- --fast-load off",
		"restore --fast-load auto -- --other": "restore --fast-load=auto -- --other",
	} {
		if got := joinFastLoad(strings.Fields(given)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: %q, want %q", given, got, want)
		}
	}
}
