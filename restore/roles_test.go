package restore

import "testing"

func TestGrantForServer(t *testing.T) {
	for _, test := range []struct {
		sql     string
		version int
		want    string
	}{
		{`GRANT "a" TO "b" WITH ADMIN TRUE, INHERIT FALSE, SET TRUE`, 160000, `GRANT "a" TO "b" WITH ADMIN TRUE, INHERIT FALSE, SET TRUE`},
		{`GRANT "a" TO "b" WITH ADMIN TRUE, INHERIT FALSE, SET TRUE`, 150020, `GRANT "a" TO "b" WITH ADMIN OPTION`},
		{`GRANT "a" TO "b" WITH ADMIN FALSE, INHERIT TRUE, SET TRUE`, 150020, `GRANT "a" TO "b"`},
		{`GRANT "a" TO "b" WITH ADMIN OPTION`, 150020, `GRANT "a" TO "b" WITH ADMIN OPTION`},
		{`GRANT "a" TO "b WITH ADMIN c"`, 170000, `GRANT "a" TO "b WITH ADMIN c"`},
	} {
		if got := (Grant{SQL: test.sql}).forServer(test.version); got != test.want {
			t.Errorf("%s on %d: %s, want %s", test.sql, test.version, got, test.want)
		}
	}
}
