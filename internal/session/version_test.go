package session

import "testing"

func TestVersion(t *testing.T) {
	for text, want := range map[string]int{
		"17.6":                          170006,
		"17.6 (Debian 17.6-1.pgdg13+1)": 170006,
		"13.22":                         130022,
		"18beta1":                       180000,
		"18rc1 (Debian)":                180000,
		"19devel":                       190000,
		"15.12 (Amazon RDS)":            150012,
		"":                              0,
		"unknown":                       0,
	} {
		if got := version(text); got != want {
			t.Errorf("version(%q) = %d, want %d", text, got, want)
		}
	}
}
