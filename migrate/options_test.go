package migrate_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/migrate"
)

// partsSQL makes a database of which parts can be left out; %s is a role.
const partsSQL = `
CREATE SCHEMA app; CREATE SCHEMA audit; CREATE SCHEMA "Odd.One";
CREATE TYPE app.kind AS ENUM ('a', 'b');
CREATE TABLE app.items (id serial PRIMARY KEY, kind app.kind, name text NOT NULL);
CREATE TABLE app.lines (item int REFERENCES app.items, n int, PRIMARY KEY (item, n));
CREATE TABLE app.log (id bigint GENERATED ALWAYS AS IDENTITY, at date NOT NULL, text text) PARTITION BY RANGE (at);
CREATE TABLE app.log_2023 PARTITION OF app.log FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE app.log_2024 PARTITION OF app.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE SEQUENCE app.tickets; SELECT nextval('app.tickets') FROM generate_series(1, 7);
CREATE TABLE audit.trail (id int PRIMARY KEY, text text);
CREATE TABLE "Odd.One"."Table ""x""" ("Column, one" int, note text);
CREATE TABLE "Odd.One"."table" (id int);
CREATE TABLE plain (id int PRIMARY KEY, note text);
INSERT INTO app.items (kind, name) SELECT 'b', 'item ' || n FROM generate_series(1, 50) n;
INSERT INTO app.lines SELECT n, 1 FROM generate_series(1, 50) n;
INSERT INTO app.log (at, text) SELECT '2023-06-01'::date + n * 10, n::text FROM generate_series(1, 50) n;
INSERT INTO audit.trail SELECT n, 'x' FROM generate_series(1, 20) n;
INSERT INTO "Odd.One"."Table ""x""" SELECT n, 'tab	and \ backslash' FROM generate_series(1, 20) n;
INSERT INTO "Odd.One"."table" VALUES (1);
INSERT INTO plain SELECT n, NULL FROM generate_series(1, 20) n;
CREATE INDEX items_name ON app.items (name);
CREATE VIEW app.named AS SELECT name FROM app.items;
CREATE MATERIALIZED VIEW app.counts AS SELECT kind, count(*) FROM app.items GROUP BY kind;
CREATE UNIQUE INDEX ON app.counts (kind);
CREATE FUNCTION audit.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT lo_from_bytea(77, 'a large object');
COMMENT ON TABLE app.items IS 'with a comment';
ALTER TABLE app.items OWNER TO %[1]s; ALTER SCHEMA audit OWNER TO %[1]s;
GRANT SELECT ON app.lines TO %[1]s; GRANT USAGE ON SCHEMA app TO PUBLIC; REVOKE ALL ON FUNCTION audit.f() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO %[1]s;`

// TestOptions: what the options leave out is what they leave out of pg_dump and pg_restore.
func TestOptions(t *testing.T) {
	t.Parallel()
	src, dst := pgtest.Host(t), pgtest.SharedContainer(t, 17)
	owner := role(t, src, "")
	dst.Exec(t, "postgres", "CREATE ROLE "+owner)
	t.Cleanup(func() { dst.Exec(t, "postgres", "DROP ROLE "+owner) })
	db := src.CreateDB(t, "TEMPLATE template0")
	src.Exec(t, db, fmt.Sprintf(partsSQL, owner))

	dumpArgs := func(o migrate.Options) (args []string) {
		for _, list := range []struct {
			flag     string
			patterns []string
		}{
			{"--schema=", o.Schemas}, {"--exclude-schema=", o.ExcludeSchemas}, {"--table=", o.Tables},
			{"--exclude-table=", o.ExcludeTables}, {"--exclude-table-data=", o.ExcludeTableData},
		} {
			for _, pattern := range list.patterns {
				args = append(args, list.flag+pattern)
			}
		}
		return args
	}
	restoreArgs := func(o migrate.Options) (args []string) {
		for flag, set := range map[string]bool{"--no-owner": o.NoOwner, "--no-privileges": o.NoPrivileges, "--no-tablespaces": o.NoTablespaces} {
			if set {
				args = append(args, flag)
			}
		}
		return args
	}
	for name, test := range map[string]struct {
		options migrate.Options
		holds   string // a query that says t
		soak    bool
	}{
		"everything":           {migrate.Options{}, `SELECT count(*) = 1 FROM pg_largeobject_metadata`, true},
		"a schema":             {migrate.Options{Schemas: []string{"app"}}, `SELECT to_regclass('plain') IS NULL`, true},
		"schemas":              {migrate.Options{Schemas: []string{"a*"}, ExcludeSchemas: []string{"aud??"}}, `SELECT to_regnamespace('audit') IS NULL`, true},
		"without a schema":     {migrate.Options{ExcludeSchemas: []string{"audit", `"Odd.One"`}}, `SELECT to_regclass('app.items') IS NOT NULL`, true},
		"a quoted schema":      {migrate.Options{Schemas: []string{`"Odd.One"`}}, `SELECT count(*) = 20 FROM "Odd.One"."Table ""x"""`, true},
		"a quoted table":       {migrate.Options{ExcludeTables: []string{`"Odd.One"."Table ""x"""`}}, `SELECT to_regclass('"Odd.One"."table"') IS NOT NULL`, false},
		"a folded table":       {migrate.Options{ExcludeTableData: []string{`"Odd.One".TABLE`}}, `SELECT count(*) = 0 FROM "Odd.One"."table"`, true},
		"a table":              {migrate.Options{Tables: []string{"plain"}}, `SELECT count(*) = 0 FROM pg_largeobject_metadata`, true},
		"without a table":      {migrate.Options{ExcludeTables: []string{"app.lines", "plain"}}, `SELECT to_regclass('app.lines') IS NULL`, true},
		"without rows":         {migrate.Options{ExcludeTableData: []string{"app.log_2023", "audit.*"}}, `SELECT count(*) = 0 FROM app.log_2023`, false},
		"without any rows":     {migrate.Options{ExcludeTableData: []string{"*.*"}}, `SELECT last_value = 1 FROM app.tickets`, true},
		"without a refresh":    {migrate.Options{ExcludeTableData: []string{"app.counts"}}, `SELECT NOT relispopulated FROM pg_class WHERE relname = 'counts'`, false},
		"without the root's":   {migrate.Options{ExcludeTableData: []string{"app.log"}}, `SELECT count(*) = 50 FROM app.log`, true},
		"without a sequence":   {migrate.Options{ExcludeTables: []string{"app.tickets"}}, `SELECT to_regclass('app.tickets') IS NULL`, true},
		"no owner":             {migrate.Options{NoOwner: true}, `SELECT relowner::regrole::text = 'postgres' FROM pg_class WHERE relname = 'items'`, true},
		"no privileges":        {migrate.Options{NoPrivileges: true}, `SELECT relacl IS NULL FROM pg_class WHERE relname = 'lines'`, true},
		"no tablespaces":       {migrate.Options{NoTablespaces: true}, `SELECT true`, true},
		"neither":              {migrate.Options{NoOwner: true, NoPrivileges: true, NoRoles: true}, `SELECT true`, false},
		"schema, less a table": {migrate.Options{Schemas: []string{"app"}, ExcludeTables: []string{"app.log*"}}, `SELECT to_regclass('app.log_2024') IS NULL`, false},
	} {
		if test.soak && !pgtest.Soak() {
			continue
		}
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			opts := options(t, src, dst, db)
			want := test.options
			want.From, want.To, want.Reporter, want.Jobs = opts.From, opts.To, opts.Reporter, 2
			want.Clients, want.Verify = opts.Clients, migrate.VerifyData
			run(t, dst, want)

			dump := src.Client(t, src.Major, db, "pg_dump", append(dumpArgs(test.options), "--format=custom", "--compress=0")...)
			stock := dst.CreateDB(t, "TEMPLATE template0")
			dst.Restore(t, stock, bytes.NewReader(output(t, dump)), restoreArgs(test.options)...)
			if diff := cmp.Diff(pgtest.Script(dst.Dump(t, stock)), pgtest.Script(dst.Dump(t, db))); diff != "" {
				t.Errorf("the target is not what the stock tools make (-stock +target):\n%.6000s", diff)
			}
			if got := dst.Row(t, db, test.holds); got != "t" {
				t.Errorf("%s: %s", test.holds, got)
			}
		})
	}
}

func output(t testing.TB, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	return out
}
