package localpg

import "testing"

func TestParseMajor(t *testing.T) {
	for version, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                        18,
		"postgres (PostgreSQL) 17":                               17,
		"postgres (EnterpriseDB) 17":                             0,
		"":                                                       0,
	} {
		if got := parseMajor(version); got != want {
			t.Errorf("%q: %d, want %d", version, got, want)
		}
	}
}
