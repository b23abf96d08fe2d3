package restore_test

import (
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/restore"
)

// TestEmpty: a database is empty if it holds nothing that somebody made.
func TestEmpty(t *testing.T) {
	s := pgtest.Host(t)
	db := s.CreateDB(t, "TEMPLATE template0")
	target, err := restore.OpenTarget(t.Context(), endpoint(t, s.URL(db)), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close(t.Context())
	assertEmpty := func(want bool, sql string) {
		t.Helper()
		s.Exec(t, db, sql)
		existing, err := target.Inspect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if existing.Empty != want {
			t.Errorf("after %s: empty is %t", sql, existing.Empty)
		}
	}
	assertEmpty(true, "DROP SCHEMA public; CREATE SCHEMA public; CREATE TEMPORARY TABLE gone (id int)")
	assertEmpty(true, `CREATE EXTENSION postgres_fdw; CREATE EXTENSION hstore; CREATE EXTENSION pgberth_test;
		ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC`)
	for make, unmake := range map[string]string{
		"CREATE TABLE t ()":      "DROP TABLE t",
		"CREATE SCHEMA s":        "DROP SCHEMA s",
		"CREATE DOMAIN d AS int": "DROP DOMAIN d",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'":                                   "DROP FUNCTION f",
		"CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw":                                            "DROP SERVER s",
		"CREATE FOREIGN DATA WRAPPER w":                                                                "DROP FOREIGN DATA WRAPPER w",
		"CREATE PUBLICATION p":                                                                         "DROP PUBLICATION p",
		"CREATE SUBSCRIPTION sub CONNECTION '' PUBLICATION p WITH (connect = false, slot_name = NONE)": "DROP SUBSCRIPTION sub",
		"CREATE TEXT SEARCH CONFIGURATION c (COPY = simple)":                                           "DROP TEXT SEARCH CONFIGURATION c",
		"CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)":                                          "DROP TEXT SEARCH DICTIONARY d",
		"CREATE CONVERSION c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8":                            "DROP CONVERSION c",
		"CREATE OPERATOR FAMILY o USING btree":                                                         "DROP OPERATOR FAMILY o USING btree",
		"CREATE CAST (point AS int) WITH INOUT":                                                        "DROP CAST (point AS int)",
		"CREATE ACCESS METHOD m TYPE TABLE HANDLER heap_tableam_handler":                               "DROP ACCESS METHOD m",
		"SELECT lo_create(7)":                                                                          "SELECT lo_unlink(7)",
	} {
		assertEmpty(false, make)
		assertEmpty(true, unmake)
	}
}
