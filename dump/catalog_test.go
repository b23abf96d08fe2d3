package dump_test

import (
	"path/filepath"
	"testing"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/conninfo"
	"github.com/pgberth/pgberth/internal/definitions"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

// recorded is the catalog of an archive.
func recorded(t testing.TB, path string) *archive.Catalog {
	t.Helper()
	a, err := archive.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	c, err := archive.ReadCatalog(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func objectsOf(t testing.TB, s *pgtest.Server, db string) []*definitions.Object {
	t.Helper()
	endpoint, err := conninfo.Parse(s.URL(db))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := session.Open(t.Context(), endpoint.Config, session.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	objects, err := definitions.Read(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// What an archive records of the source is what a database restored from it says of itself, whatever is in it.
func TestCatalog(t *testing.T) {
	host := pgtest.Host(t)
	db := pgtest.Menagerie(t, host)
	host.Exec(t, db, `CREATE TABLE reread (state varchar(9) CHECK (state IN ('on', 'off')));
CREATE INDEX ON reread (state) WHERE state <> ALL ('{x,y}'::varchar[]);
CREATE VIEW reread_view AS SELECT * FROM reread WHERE state IN ('on', 'off')`)
	path := dumped(t, host, db)
	c := recorded(t, path)
	if c == nil || c.Superuser != host.User || c.Collations == nil {
		t.Fatalf("the catalog of the archive: %+v", c)
	}
	restored := pgtest.NewName("restored")
	t.Cleanup(func() { host.DropDB(t, restored) })
	output(t, pgtest.Pgberth(t, "restore", path, "--to", host.Endpoint(restored), "--quiet"))
	for _, d := range definitions.Diff(c.Objects, objectsOf(t, host, restored)) {
		// An extension comes back in the version that the server makes.
		if d.Name != db && d.Name != restored && d.Kind != "extension" {
			t.Errorf("%s %s: %s was %q, is %q", d.Kind, d.Name, d.Aspect, d.Was, d.Is)
		}
	}

	if c := recorded(t, dumped(t, host, db, "--exclude-table", "reread")); c != nil {
		t.Error("a part of a database has a catalog")
	}
	custom := filepath.Join(t.TempDir(), "custom")
	output(t, pgtest.Pgberth(t, "dump", "--from", host.Endpoint(db), "--file", custom, "--format=custom", "--quiet"))
	if c := recorded(t, custom); c != nil {
		t.Error("a custom archive has a catalog")
	}
}
