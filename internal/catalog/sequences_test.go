package catalog_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/pgtest"
)

// SetSQL brings a sequence back to where it was, whatever it is called, and
// whatever happened to it since.
func TestSequences(t *testing.T) {
	host := pgtest.Host(t)
	db := host.CreateDB(t)
	host.Exec(t, db, oddities)
	host.Exec(t, db, `CREATE SCHEMA "it's \ """; CREATE SEQUENCE "it's \ """."it's \ """ INCREMENT BY -3 START -7;
		SELECT nextval('"it''s \ """."it''s \ """'), nextval('"it''s \ """."it''s \ """');
		CREATE UNLOGGED SEQUENCE unlogged START 5; CREATE TABLE t (a serial, b int GENERATED ALWAYS AS IDENTITY (START 9)); INSERT INTO t DEFAULT VALUES;
		CREATE TEMPORARY SEQUENCE temporary;
		DO $$ BEGIN FOR i IN 1..450 LOOP EXECUTE format('CREATE SEQUENCE many_%s START %s', i, i); END LOOP; END $$`)
	conn := open(t, host, db, host.User)
	before, unreadable, err := catalog.Sequences(t.Context(), conn)
	if err != nil || len(before) < 460 || len(unreadable) > 0 {
		t.Fatalf("%d sequences, unreadable: %q: %v", len(before), unreadable, err)
	}
	for _, s := range before {
		next := fmt.Sprintf("SELECT nextval(%d::oid::regclass)", s.OID)
		if s.Name != "high" && s.Name != "low" {
			do(t, conn, next)
		}
		do(t, conn, "SET standard_conforming_strings = off")
		do(t, conn, s.SetSQL())
		do(t, conn, "SET standard_conforming_strings = on")
	}
	after, _, err := catalog.Sequences(t.Context(), conn)
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("before -, after +: %v\n%s", err, diff)
	}
}

func TestMatviews(t *testing.T) {
	each(t, func(t *testing.T, s *pgtest.Server) {
		db := s.CreateDB(t)
		s.Exec(t, db, oddities)
		views, err := catalog.Matviews(t.Context(), open(t, s, db, s.User))
		if err != nil {
			t.Fatal(err)
		}
		names, got := map[uint32]string{}, map[string]string{}
		for _, v := range views {
			names[v.OID] = v.Name
		}
		for _, v := range views {
			var uses []string
			for _, oid := range v.Uses {
				uses = append(uses, names[oid])
			}
			slices.Sort(uses)
			got[v.Name] = fmt.Sprint(v.Populated, uses)
		}
		want := map[string]string{"m1": "true []", "m2": "true [m1]", "m3": "true [m1 m2]", "M 4": "false []"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
	})
}
