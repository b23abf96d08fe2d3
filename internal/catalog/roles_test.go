package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/internal/pgtest"
	"github.com/pgberth/pgberth/internal/session"
)

// described is all there is to a role, as text.
func described(t *testing.T, conn *pgx.Conn, prefix string) map[string][]string {
	t.Helper()
	roles, err := catalog.Roles(t.Context(), conn, session.Version(conn))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for name, role := range roles {
		if strings.HasPrefix(name, prefix) {
			text := append(role.CreateSQL(true), fmt.Sprint(role.Superuser, role.Login, role.PasswordUnknown))
			for _, m := range role.Parents {
				text = append(text, role.GrantSQL(m))
			}
			all[name] = text
		}
	}
	return all
}

// Roles that are made anew are the roles that were.
func TestRoles(t *testing.T) {
	each(t, func(t *testing.T, s *pgtest.Server) {
		conn := open(t, s, "postgres", s.User)
		prefix := pgtest.NewName("role")
		in := strings.NewReplacer("ROLE_", prefix)
		do(t, conn, in.Replace(`
SET LOCAL TimeZone = 'UTC';
CREATE ROLE "ROLE_all" SUPERUSER CREATEDB CREATEROLE LOGIN REPLICATION BYPASSRLS CONNECTION LIMIT 3 VALID UNTIL '2031-02-03 04:05:06+07' PASSWORD 'it''s';
CREATE ROLE "ROLE_none" NOSUPERUSER NOINHERIT NOLOGIN CONNECTION LIMIT 0 VALID UNTIL 'infinity';
SET LOCAL password_encryption = 'md5'; CREATE ROLE "ROLE_md5" LOGIN PASSWORD 'x'; SET LOCAL password_encryption = 'scram-sha-256';
CREATE ROLE "ROLE_O'Brien \ ""x"" ä" LOGIN PASSWORD 'back\slash';
COMMENT ON ROLE "ROLE_O'Brien \ ""x"" ä" IS 'it''s a \ comment
in two lines';
CREATE ROLE "ROLE_set";
ALTER ROLE "ROLE_set" SET search_path = "$user", public;
ALTER ROLE "ROLE_set" SET work_mem = '64MB';
ALTER ROLE "ROLE_set" SET application_name = 'it''s \ "x", y=z';
ALTER ROLE "ROLE_set" SET DateStyle = 'SQL, DMY';
ALTER ROLE "ROLE_set" SET my.setting = 'a''b\c';
ALTER ROLE "ROLE_set" SET "My.Other" = '';
ALTER ROLE "ROLE_set" SET TimeZone = 'Europe/Warsaw';
CREATE ROLE "ROLE_path1"; ALTER ROLE "ROLE_path1" SET search_path = '';
CREATE ROLE "ROLE_path2"; ALTER ROLE "ROLE_path2" SET search_path = 'a,b', 'q"x''y\z', "UPPER", plain, ' blank ';
CREATE ROLE "ROLE_path3"; ALTER ROLE "ROLE_path3" SET session_preload_libraries = 'auto_explain', '$libdir/plugins/x';
CREATE ROLE "ROLE_group"; CREATE ROLE "ROLE_group2"; CREATE ROLE "ROLE_member" NOINHERIT IN ROLE "ROLE_group", pg_monitor;
GRANT "ROLE_group2" TO "ROLE_member" WITH ADMIN OPTION;`))
		if s.Major >= 16 {
			do(t, conn, in.Replace(`GRANT "ROLE_group", "ROLE_group2" TO "ROLE_set" WITH INHERIT FALSE, SET FALSE;
CREATE ROLE "ROLE_creator" CREATEROLE; SET LOCAL ROLE "ROLE_creator"; CREATE ROLE "ROLE_child";
GRANT "ROLE_child" TO "ROLE_creator" WITH INHERIT TRUE, SET TRUE; RESET ROLE`))
		}
		before := described(t, conn, prefix)
		if s.Major >= 16 {
			// Two grants, by the system and by the role itself, of which the first alone would be of no use.
			want := in.Replace(`GRANT "ROLE_child" TO "ROLE_creator" WITH ADMIN TRUE, INHERIT TRUE, SET TRUE`)
			if !slices.Contains(before[prefix+"creator"], want) {
				t.Errorf("%q lacks %s", before[prefix+"creator"], want)
			}
		}
		roles, err := catalog.Roles(t.Context(), conn, session.Version(conn))
		if err != nil {
			t.Fatal(err)
		}
		names, err := catalog.RoleNames(t.Context(), conn)
		if err != nil || len(names) != len(roles) {
			t.Errorf("%d names of %d roles: %v", len(names), len(roles), err)
		}
		for name := range before {
			do(t, conn, "DROP OWNED BY "+catalog.Quote(name)+"; DROP ROLE "+catalog.Quote(name))
		}
		do(t, conn, "SET LOCAL standard_conforming_strings = off") // literals read the same
		for name := range before {
			for _, sql := range roles[name].CreateSQL(true) {
				do(t, conn, sql)
			}
		}
		for name := range before {
			for _, m := range roles[name].Parents {
				do(t, conn, roles[name].GrantSQL(m))
			}
		}
		if diff := cmp.Diff(before, described(t, conn, prefix)); diff != "" {
			t.Errorf("before -, after +:\n%s", diff)
		}
		if s := strings.Join(before[prefix+"set"], "\n"); strings.Count(s, "ALTER ROLE") != 7 {
			t.Errorf("settings are missing from:\n%s", s)
		}
	})
}

func TestRolesOfOthers(t *testing.T) {
	each(t, func(t *testing.T, s *pgtest.Server) {
		prefix := pgtest.NewName("role")
		s.Exec(t, "postgres", fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD 'x'; CREATE ROLE %s_group", prefix, prefix))
		t.Cleanup(func() { s.Exec(t, "postgres", fmt.Sprintf("DROP ROLE %s, %s_group", prefix, prefix)) })
		conn := open(t, s, "postgres", prefix)
		roles, err := catalog.Roles(t.Context(), conn, session.Version(conn))
		if err != nil {
			t.Fatal(err)
		}
		if r := roles[prefix]; !r.PasswordUnknown || strings.Contains(r.CreateSQL(true)[0], "PASSWORD") {
			t.Errorf("a password hash that may not be read is not said to be unknown: %s", r.CreateSQL(true)[0])
		}
		if r := roles[prefix+"_group"]; r.PasswordUnknown {
			t.Error("a role that cannot log in is said to have a password")
		}
		do(t, conn, "SELECT 1") // the transaction goes on
	})
}

func TestWithParents(t *testing.T) {
	member := func(name string, parents ...string) *catalog.Role {
		r := &catalog.Role{Name: name}
		for _, p := range parents {
			r.Parents = append(r.Parents, catalog.Membership{Role: p})
		}
		return r
	}
	roles := map[string]*catalog.Role{"a": member("a", "b", "c"), "b": member("b", "d"), "c": member("c", "d"), "d": member("d"), "e": member("e", "a", "missing")}
	for _, test := range []struct {
		named, have, want string
	}{
		{"a", "", "a b c d"},
		{"e", "", "e a b c d"},
		{"d a d", "", "d a b c"},
		{"e", "a", "e"}, // what a role that is there is a member of is its own affair
		{"e c", "b d", "e c a"},
		{"missing", "", ""},
		{"", "", ""},
	} {
		have := map[string]bool{}
		for _, name := range strings.Fields(test.have) {
			have[name] = true
		}
		var got []string
		for _, role := range catalog.WithParents(roles, strings.Fields(test.named), have) {
			got = append(got, role.Name)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%q without %q: %q, want %q", test.named, test.have, got, test.want)
		}
	}
}
