package migrate_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
)

// inventory is what a refused run must not change.
func inventory(t testing.TB, servers ...*pgtest.Server) []string {
	t.Helper()
	var all []string
	for _, s := range servers {
		all = append(all, s.Rows(t, "postgres", `SELECT 'database', datname, pg_get_userbyid(datdba), datconnlimit, shobj_description(oid, 'pg_database') FROM pg_database
			UNION ALL SELECT 'role', rolname, rolpassword, rolconnlimit, NULL FROM pg_authid ORDER BY 1, 2`)...)
	}
	return all
}

// text is all that a failure says.
func (e event) text() string {
	lines := append([]string{e.Message}, e.Remedies...)
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// refused runs the program, which has to end with a status and to say all that
// is wanted, and returns what it said.
func refused(t testing.TB, p *process, status int, want ...string) event {
	t.Helper()
	if got := p.run(); got != status {
		t.Errorf("exit status %d, want %d\n%s", got, status, p.said())
	}
	e := p.failure()
	for _, w := range want {
		if !strings.Contains(e.text(), w) {
			t.Errorf("the failure does not say %q:\n%s", w, e.text())
		}
	}
	return e
}

// role makes a role that may log in with the password "x".
func role(t testing.TB, s *pgtest.Server, attributes string) string {
	t.Helper()
	name := pgtest.NewName("role")
	s.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'x' %s", name, attributes))
	t.Cleanup(func() { s.Exec(t, "postgres", "DROP ROLE IF EXISTS "+name) })
	return name
}

// TestAllProblemsAtOnce: everything that stands in the way is listed in one go.
func TestAllProblemsAtOnce(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	owner := role(t, src, "")
	db := src.CreateDB(t, "TEMPLATE template0")
	space := pgtest.NewName("space")
	src.Exec(t, "postgres", "ALTER ROLE postgres SET allow_in_place_tablespaces = on") // for sessions to come
	src.Exec(t, "postgres", "CREATE TABLESPACE "+space+" LOCATION ''")
	src.Exec(t, "postgres", "ALTER ROLE postgres RESET allow_in_place_tablespaces")
	t.Cleanup(func() { src.DropDB(t, db); src.Exec(t, "postgres", "DROP TABLESPACE "+space) })
	src.Exec(t, db, fmt.Sprintf(`CREATE EXTENSION citext; UPDATE pg_extension SET extname = 'not_there' WHERE extname = 'citext';
		CREATE TABLE far (id int PRIMARY KEY) TABLESPACE %[1]s; CREATE INDEX ON far (id) TABLESPACE %[1]s;
		CREATE TABLE owned (id int); ALTER TABLE owned OWNER TO %[2]s`, space, owner))
	dst.Exec(t, "postgres", "CREATE DATABASE "+db)
	t.Cleanup(func() { dst.DropDB(t, db) })
	dst.Exec(t, db, "CREATE TABLE old (id int)")
	session := dst.Connect(t, db)

	before := inventory(t, src, dst)
	p := command(t, "migrate", "--from", src.URL(db), "--to", dst.Endpoint(db), "--no-roles")
	e := refused(t, p, 1, "nothing was touched: 5 problems",
		"extension not_there: is not available on the target; use an image that has it",
		"tablespace "+space+": does not exist on the target", "far", "--no-tablespaces",
		"role "+owner+": does not exist on the target", "without --no-roles",
		"database "+db+": is not empty on the target", "--replace keeps it as "+db+"_before_",
		"database "+db+": is in use on the target: pid ", "pgtest", "--disconnect")
	if len(e.Problems) != 5 {
		t.Errorf("%d problems, want 5:\n%s", len(e.Problems), e.text())
	}
	for _, problem := range e.Problems {
		if problem.Object == "" || problem.Text == "" || problem.Remedy == "" {
			t.Errorf("a problem without object or remedy: %+v", problem)
		}
	}
	if diff := cmp.Diff(before, inventory(t, src, dst)); diff != "" {
		t.Errorf("the refused run touched something:\n%s", diff)
	}
	if err := session.Ping(t.Context()); err != nil {
		t.Errorf("the refused run ended a session: %v", err)
	}

	dry := command(t, "migrate", "--from", src.URL(db), "--to", dst.Endpoint(db), "--no-roles", "--dry-run")
	refused(t, dry, 1, "5 problems")
	if !strings.Contains(dry.said(), `"event":"plan"`) {
		t.Errorf("a dry run with problems prints no plan:\n%s", dry.said())
	}

	// Every remedy that is an option works.
	src.Exec(t, db, "UPDATE pg_extension SET extname = 'citext' WHERE extname = 'not_there'")
	command(t, "migrate", "--from", src.URL(db), "--to", dst.Endpoint(db), "--no-roles", "--no-owner", "--no-privileges",
		"--no-tablespaces", "--replace", "--drop-old", "--disconnect").must()
	if got := dst.Row(t, db, "SELECT to_regclass('far') IS NOT NULL, to_regclass('old') IS NULL"); got != "t|t" {
		t.Errorf("after the remedies: %s", got)
	}
}

// TestRefusals are runs that cannot be, one reason each.
func TestRefusals(t *testing.T) {
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	reader := role(t, src, "")
	db := src.CreateDB(t, "TEMPLATE template0")
	src.Exec(t, db, fmt.Sprintf(`CREATE TABLE open (id int); CREATE TABLE secret (id int); CREATE SEQUENCE hidden;
		CREATE TABLE filtered (id int); ALTER TABLE filtered ENABLE ROW LEVEL SECURITY;
		GRANT SELECT ON open, filtered TO %s`, reader))
	blobs := src.CreateDB(t, "TEMPLATE template0")
	src.Exec(t, blobs, "SELECT lo_create(11), lo_create(12), lo_create(13); GRANT SELECT ON LARGE OBJECT 12 TO "+reader)
	astray := src.CreateDB(t, "TEMPLATE template0")
	src.Exec(t, astray, `CREATE TABLE factor AS SELECT 3 AS f;
		CREATE FUNCTION times(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN n * (SELECT f FROM factor); END';
		CREATE TABLE t (n int CHECK (times(n) > 0)); INSERT INTO t VALUES (1)`)
	plain := role(t, dst, "")
	creator := role(t, dst, "CREATEDB")
	taken := dst.CreateDB(t)
	dst.Exec(t, taken, "CREATE TABLE old (id int)")
	merged := src.CreateDB(t, "TEMPLATE template0")
	src.Exec(t, merged, "CREATE TABLE t (id int); ALTER TABLE t OWNER TO "+reader)
	ruled := src.CreateDB(t, "TEMPLATE template0")
	src.Exec(t, ruled, fmt.Sprintf("CREATE TABLE t (id int); ALTER TABLE t OWNER TO %[1]s; CREATE POLICY p ON t TO %[1]s", reader))
	// What the newer server has and the older does not know.
	newer := dst.CreateDB(t, "TEMPLATE template0 LOCALE 'C.UTF-8'")
	dst.Exec(t, newer, "CREATE TABLE t (a text COLLATE pg_c_utf8)")
	american := dst.CreateDB(t, "TEMPLATE template0 LOCALE 'en_US.UTF-8'")
	dst.Exec(t, american, "CREATE TABLE t (a text); CREATE COLLATION us (locale = 'en_US.UTF-8')")

	stopped := "pgberth-test-stopped-" + db[len(db)-6:]
	idle := "pgberth-test-idle-" + db[len(db)-6:]
	docker(t, "create", "--name", stopped, "--env", "POSTGRES_PASSWORD=x", pgtest.Image(17))
	t.Cleanup(func() { docker(t, "rm", "--force", "--volumes", stopped) })
	docker(t, "run", "--detach", "--name", idle, "--entrypoint", "sleep", pgtest.Image(17), "600")
	t.Cleanup(func() { docker(t, "rm", "--force", "--volumes", idle) })

	before := inventory(t, src, dst)
	for name, test := range map[string]struct {
		from, to string
		more     []string
		status   int
		want     []string
	}{
		"tables and sequences that may not be read": {
			from: src.URLAs(reader, "x", db), to: dst.URL(db), status: 1,
			want: []string{"4 problems",
				"table public.secret: role " + reader + " may not read it; GRANT SELECT ON \"public\".\"secret\" TO",
				"table public.filtered: row security would hide rows of it from role " + reader, "BYPASSRLS",
				"sequence public.hidden: role " + reader + " may not read it; GRANT SELECT", "pg_dump: ", "permission denied for table secret"},
		},
		"large objects that may not be read": {
			from: src.URLAs(reader, "x", blobs), to: dst.URL(blobs), more: []string{"--no-owner", "--no-privileges"}, status: 1,
			want: []string{"1 problem", "large objects: role " + reader + " may not read 2 of them, such as 11; connect as their owner or a superuser"},
		},
		"a function that relies on search_path": {
			from: src.URL(astray), to: dst.URL(astray), status: 1,
			want: []string{"copy table public.t: ", `relation "factor" does not exist`, "ALTER FUNCTION public.times(integer) SET search_path"},
		},
		"what new databases are copied from": {
			from: src.URL(db), to: dst.URL("template1"), status: 1,
			want: []string{"1 problem", "database template1: is what the target's new databases are copied from", "name another database"},
		},
		"the source is the target": {
			from: dst.URL(taken), to: dst.Endpoint(taken), status: 1,
			want: []string{"1 problem", "database " + taken + ": is the source and the target at once", "another database"},
		},
		"a wrong password at the source": {
			from: src.URLAs("postgres", "wrong", db), to: dst.URL(db), status: 1,
			want: []string{"source postgres://postgres@127.0.0.1", "password authentication failed", "PGPASSWORD"},
		},
		"a wrong password at the target": {
			from: src.URL(db), to: dst.URLAs("postgres", "wrong", db), status: 1,
			want: []string{"target postgres://postgres@", "password authentication failed", "PGPASSWORD"},
		},
		"no such database at the source": {
			from: src.URL("no_such"), to: dst.URL("no_such"), status: 1,
			want: []string{`database "no_such" does not exist`, "source"},
		},
		"nobody listens": {
			from: "postgres://postgres@127.0.0.1:1/x?sslmode=disable", to: dst.URL(db), status: 1,
			want: []string{"source postgres://postgres@127.0.0.1:1/x", "connection refused"},
		},
		"a container that is stopped": {
			from: src.URL(db), to: "docker://" + stopped, status: 1,
			want: []string{`container "` + stopped + `" was never started`, "docker start " + stopped},
		},
		"a container that is no Postgres": {
			from: src.URL(db), to: "docker://" + idle, status: 1,
			want: []string{`container "` + idle + `" runs "sleep`, "not a Postgres server"},
		},
		"no such container": {
			from: src.URL(db), to: "docker://pgberth-test-nowhere", status: 10,
			want: []string{"pgberth-test-nowhere", "running Postgres containers", dst.Container},
		},
		"a source newer than every client": {
			from: dst.URL(taken), to: src.URL(taken), more: []string{"--pg-dump", "/usr/lib/postgresql/15/bin/pg_dump"}, status: 1,
			want: []string{"pg_dump: none of version 17 or later", "found /usr/lib/postgresql/15/bin/pg_dump (15", "apt-get install postgresql-client-17", "--pg-dump PATH"},
		},
		"no client, and more": {
			from: dst.URL(taken), to: src.URLAs(reader, "x", taken), more: []string{"--pg-dump", "/usr/lib/postgresql/15/bin/pg_dump"}, status: 1,
			want: []string{"2 problems", "pg_dump: none of version 17", "role " + reader + ": may not create the staging database"},
		},
		"a pg_dump that is not there": {
			from: src.URL(db), to: dst.URL(db), more: []string{"--pg-dump", "/nowhere/pg_dump"}, status: 64,
			want: []string{"--pg-dump", "there is no pg_dump at /nowhere/pg_dump"},
		},
		"what an older target does not know": {
			from: dst.Endpoint(newer), to: src.URL(newer), status: 1,
			want: []string{"the target refuses the schema written by", "restore TABLE public.t", "pg_c_utf8"},
		},
		"a locale that the target lacks": {
			from: dst.Endpoint(american), to: src.URL(american), status: 1,
			want: []string{"1 problem", "locale en_US.UTF-8, collation us: is not available on the target", "--in-place"},
		},
		"a role that may not create databases": {
			from: src.URL(merged), to: dst.URLAs(plain, "x", merged), status: 1,
			want: []string{"4 problems", "role " + plain + ": may not create the staging database", "ALTER ROLE", "CREATEDB", "--in-place",
				"may not create roles on the target, which lacks " + reader},
		},
		"a role that may not give objects away": {
			from: src.URL(merged), to: dst.URLAs(creator, "x", merged), more: []string{"--no-roles"}, status: 1,
			want: []string{"role " + reader + ": does not exist", "role " + reader + ": owns objects, and " + creator + " is not a member of it", "--no-owner"},
		},
		"a role that no option leaves out": {
			from: src.URL(ruled), to: dst.URL(ruled), more: []string{"--no-roles", "--no-owner", "--no-privileges"}, status: 1,
			want: []string{"1 problem", "role " + reader + ": does not exist on the target; it is named by POLICY public.t p; create it, or let pgberth create it (without --no-roles)"},
		},
		"a role that an option leaves out": {
			from: src.URL(merged), to: dst.URL(merged), more: []string{"--no-roles", "--no-privileges"}, status: 1,
			want: []string{"1 problem", "it is named by TABLE public.t; create it, let pgberth create it (without --no-roles), or use --no-owner"},
		},
		"another's database is in the way": {
			from: src.URL(db), to: dst.URLAs(creator, "x", taken), more: []string{"--replace", "--no-owner", "--no-privileges"}, status: 1,
			want: []string{"database " + taken + ": belongs to postgres and cannot be renamed by " + creator},
		},
		"in place, into nothing": {
			from: src.URL(db), to: dst.URL(db), more: []string{"--in-place"}, status: 1,
			want: []string{db, "does not exist"},
		},
		"in place, into a database that is not empty": {
			from: src.URL(db), to: dst.URL(taken), more: []string{"--in-place"}, status: 1,
			want: []string{"database " + taken + ": is not empty on the target", "--in-place needs an empty database"},
		},
		"in place and replace": {
			from: src.URL(db), to: dst.URL(taken), more: []string{"--in-place", "--replace"}, status: 64,
			want: []string{"--in-place", "--replace", "give one of them"},
		},
		"drop what is not replaced": {
			from: src.URL(db), to: dst.URL(db), more: []string{"--drop-old"}, status: 64,
			want: []string{"--drop-old", "--replace", "give both"},
		},
		"a table pattern without a match": {
			from: src.URL(db), to: dst.URL(db), more: []string{"--table", "nothing_like_it"}, status: 1,
			want: []string{`no matching tables were found for pattern "nothing_like_it"`},
		},
		"a schema pattern without a match": {
			from: src.URL(db), to: dst.URL(db), more: []string{"--schema", "nowhere"}, status: 1,
			want: []string{`no matching schemas were found for pattern "nowhere"`},
		},
		"a name that staging databases have": {
			from: src.URL(db), to: dst.URL("shop_pgberth_01234567"), status: 1,
			want: []string{"database shop_pgberth_01234567: has the name of a staging database", "give it another name"},
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			refused(t, command(t, append([]string{"migrate", "--from", test.from, "--to", test.to}, test.more...)...), test.status, test.want...)
		})
	}
	if diff := cmp.Diff(before, inventory(t, src, dst)); diff != "" {
		t.Errorf("a refused run touched something (-before +after):\n%s", diff)
	}

	// What the messages advise.
	p := command(t, "migrate", "--from", src.URLAs(reader, "x", db), "--to", dst.Endpoint(db),
		"--exclude-table", "secret", "--exclude-table", "filtered", "--exclude-table", "hidden")
	p.must()
	dst.DropDB(t, db)
}

// docker runs the docker command.
func docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}
