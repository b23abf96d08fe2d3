package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/session"
)

// Globals is what a server has besides its databases.
type Globals struct {
	Roles       []*Role // by name, without those of the system
	Tablespaces []Tablespace
	Parameters  []string // GRANT ... ON PARAMETER, from 15
	Settings    []Setting
	// PasswordsUnknown are the roles that may have a password which the current role may not read.
	PasswordsUnknown []string
}

// A Tablespace is where a server keeps databases and tables besides its own directory.
type Tablespace struct {
	Name, Owner, Location, Comment string
	Options                        []string // name=value
	Grants                         []string
}

// A Setting is a parameter of the server that is not the default.
type Setting struct{ Name, Value string }

// ReadGlobals reads what a server has besides its databases.
func ReadGlobals(ctx context.Context, conn *pgx.Conn, version int) (*Globals, error) {
	roles, err := Roles(ctx, conn, version)
	if err != nil {
		return nil, err
	}
	g := &Globals{}
	for name, r := range roles {
		if strings.HasPrefix(name, "pg_") {
			if len(r.Parents) == 0 {
				continue
			}
			r.System = true // what it was made a member of is all that is not as shipped
			r.Parents = slices.DeleteFunc(r.Parents, func(m Membership) bool { return strings.HasPrefix(m.Role, "pg_") })
			if len(r.Parents) == 0 {
				continue
			}
		} else if r.PasswordUnknown {
			g.PasswordsUnknown = append(g.PasswordsUnknown, name)
		}
		g.Roles = append(g.Roles, r)
	}
	slices.SortFunc(g.Roles, func(a, b *Role) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(g.PasswordsUnknown)
	if g.Tablespaces, err = tablespaces(ctx, conn); err != nil {
		return nil, err
	}
	if version >= 150000 {
		if g.Parameters, err = parameterGrants(ctx, conn); err != nil {
			return nil, err
		}
	}
	g.Settings, err = settings(ctx, conn)
	return g, err
}

func tablespaces(ctx context.Context, conn *pgx.Conn) ([]Tablespace, error) {
	rows, err := conn.Query(ctx, `
SELECT t.spcname::text, pg_catalog.pg_get_userbyid(t.spcowner)::text, pg_catalog.pg_tablespace_location(t.oid),
  COALESCE(pg_catalog.shobj_description(t.oid, 'pg_tablespace'), ''), COALESCE(t.spcoptions, '{}'),
  COALESCE((SELECT pg_catalog.array_agg(pg_catalog.format('GRANT %s ON TABLESPACE %I TO %s%s', a.privilege_type, t.spcname,
      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
      CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
    FROM pg_catalog.aclexplode(t.spcacl) a WHERE a.grantee <> t.spcowner), '{}')
FROM pg_catalog.pg_tablespace t WHERE t.spcname !~ '^pg_' ORDER BY 1`, session.Arrays)
	if err != nil {
		return nil, fmt.Errorf("read the tablespaces: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Tablespace, err error) {
		return t, row.Scan(&t.Name, &t.Owner, &t.Location, &t.Comment, &t.Options, &t.Grants)
	})
	if err != nil {
		return nil, fmt.Errorf("read the tablespaces: %w", err)
	}
	return list, nil
}

func parameterGrants(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `
SELECT pg_catalog.format('GRANT %s ON PARAMETER %s TO %s%s', a.privilege_type,
  (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(part), '.') FROM pg_catalog.unnest(pg_catalog.string_to_array(p.parname, '.')) part),
  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_parameter_acl p CROSS JOIN pg_catalog.aclexplode(p.paracl) a
WHERE a.grantee <> 10 ORDER BY 1`) // 10 is who made the server, and has them all
	if err != nil {
		return nil, fmt.Errorf("read the privileges on parameters: %w", err)
	}
	grants, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the privileges on parameters: %w", err)
	}
	return grants, nil
}

// settings reads what was set for the server as a whole. Values in which passwords are usual are left out.
func settings(ctx context.Context, conn *pgx.Conn) ([]Setting, error) {
	rows, err := conn.Query(ctx, `
SELECT name, pg_catalog.current_setting(name) FROM pg_catalog.pg_settings
WHERE source IN ('configuration file', 'command line', 'environment variable') AND name !~ '(_command|conninfo|passphrase|password)' ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("read the server's settings: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Setting, err error) { return s, row.Scan(&s.Name, &s.Value) })
	if err != nil {
		return nil, fmt.Errorf("read the server's settings: %w", err)
	}
	return list, nil
}

// SQL is a script for psql that makes all of it, and passes over what is there. With passwords it holds their hashes, and is
// as secret as they are.
func (g *Globals) SQL(passwords bool) string {
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\n") }
	line("SET client_encoding = 'UTF8';")
	line("SET standard_conforming_strings = on;")
	line("\n-- Roles")
	for _, r := range g.Roles {
		if r.System {
			continue
		}
		line("SELECT " + Literal("CREATE ROLE "+Quote(r.Name)) + " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = " + Literal(r.Name) + `) \gexec`)
		for _, sql := range r.alterSQL(passwords) {
			line(sql + ";")
		}
	}
	line("\n-- Memberships")
	for _, r := range g.Roles {
		for _, parent := range r.Parents {
			line(r.GrantSQL(parent) + ";")
		}
	}
	if len(g.Parameters) > 0 {
		line("\n-- Privileges on parameters")
	}
	for _, sql := range g.Parameters {
		line(sql + ";")
	}
	if len(g.Tablespaces) > 0 {
		line("\n-- Tablespaces, whose directories must be there")
	}
	for _, t := range g.Tablespaces {
		for _, sql := range t.sql() {
			line(sql)
		}
	}
	line("\n-- Settings of the server that are not the default, for whoever sets up another. Those in which passwords are usual are left out.")
	for _, s := range g.Settings {
		line("-- " + s.Name + " = " + strings.ReplaceAll(Literal(s.Value), "\n", " "))
	}
	return b.String()
}

func (t *Tablespace) sql() []string {
	name := Quote(t.Name)
	create := "CREATE TABLESPACE " + name + " OWNER " + Quote(t.Owner) + " LOCATION " + Literal(t.Location)
	out := []string{"SELECT " + Literal(create) + " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE spcname = " + Literal(t.Name) + `) \gexec`}
	for _, option := range t.Options {
		key, value, _ := strings.Cut(option, "=")
		out = append(out, "ALTER TABLESPACE "+name+" SET ("+Quote(key)+" = "+Literal(value)+");")
	}
	for _, grant := range t.Grants {
		out = append(out, grant+";")
	}
	if t.Comment != "" {
		out = append(out, "COMMENT ON TABLESPACE "+name+" IS "+Literal(t.Comment)+";")
	}
	return out
}

// alterSQL makes of a role that is there, with whatever attributes, the one it is here.
func (r *Role) alterSQL(password bool) []string {
	sql := r.CreateSQL(password)
	attributes := strings.TrimPrefix(sql[0], "CREATE ROLE "+Quote(r.Name)+" WITH ")
	for _, off := range []string{"REPLICATION", "BYPASSRLS"} {
		if !slices.Contains(r.attributes, off) {
			attributes = "NO" + off + " " + attributes
		}
	}
	sql[0] = "ALTER ROLE " + Quote(r.Name) + " WITH " + attributes
	return sql
}
