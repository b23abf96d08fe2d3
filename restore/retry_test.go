package restore_test

import (
	"testing"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// What the server gives up for a deadlock is done again, in the tablespace where it belongs: the settings that went
// before it in its message are gone with it. Sequences keep count of the attempts, since no rollback takes them back.
func TestDeadlock(t *testing.T) {
	s := pgtest.Host(t)
	space := pgtest.NewName("space")
	conn := s.Connect(t, "postgres")
	for _, sql := range []string{"SET allow_in_place_tablespaces = on", "CREATE TABLESPACE " + space + " LOCATION ''"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { s.Exec(t, "postgres", "DROP TABLESPACE "+space) })
	db := s.CreateDB(t, "TEMPLATE template0")
	s.Exec(t, db, `
CREATE SEQUENCE attempts;
CREATE FUNCTION victim(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('public.attempts') <= 3 THEN RAISE 'chosen as the victim' USING ERRCODE = 'deadlock_detected'; END IF;
  RETURN n;
END $$;
SELECT setval('attempts', 100);
CREATE TABLE t AS SELECT generate_series(1, 10) AS n;
CREATE INDEX t_victim ON t (victim(n)) TABLESPACE `+space)
	copied := restored(t, s, stockDump(t, s, db, "-Fc"))
	const sql = `SELECT spcname FROM pg_class c JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE relname = 't_victim'`
	if got := s.Rows(t, copied, sql); len(got) != 1 || got[0] != space {
		t.Errorf("the index is in tablespace %q, want %s", got, space)
	}
}
