package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgberth/pgberth/internal/session"
)

// Role is a role with what is needed to make it on another server.
type Role struct {
	Name      string
	Superuser bool
	Login     bool
	Parents   []Membership // the roles it is a member of
	// PasswordUnknown says that the role may have a password, but the
	// current role may not read its hash.
	PasswordUnknown bool
	// System says that the role comes with the server.
	System bool

	attributes []string // as CREATE ROLE has them
	password   string   // the hash; a secret
	settings   []string // "name=value" of ALTER ROLE ... SET
	comment    string
}

// Membership is one GRANT of a role.
type Membership struct {
	Role    string // the role that is granted
	Options string // "WITH ADMIN OPTION", or from 16 "WITH ADMIN TRUE, INHERIT FALSE, ..."
}

// WithParents returns the named roles and, transitively, those they are members
// of, parents last, but for the ones in have.
func WithParents(roles map[string]*Role, named []string, have map[string]bool) []*Role {
	var out []*Role
	seen := map[string]bool{}
	queue := slices.Clone(named)
	for i := 0; i < len(queue); i++ {
		role := roles[queue[i]]
		if role == nil || have[role.Name] || seen[role.Name] {
			continue
		}
		seen[role.Name] = true
		out = append(out, role)
		for _, parent := range role.Parents {
			queue = append(queue, parent.Role)
		}
	}
	return out
}

// CreateSQL returns the statements that create the role. With its password the
// first holds the hash, if there is one, and must not be shown.
func (r *Role) CreateSQL(password bool) []string {
	create := "CREATE ROLE " + Quote(r.Name) + " WITH " + strings.Join(r.attributes, " ")
	if password && r.password != "" {
		create += " PASSWORD " + Literal(r.password)
	}
	sql := []string{create}
	for _, setting := range r.settings {
		name, value, _ := strings.Cut(setting, "=")
		sql = append(sql, "ALTER ROLE "+Quote(r.Name)+" SET "+settingSQL(name, value))
	}
	if r.comment != "" {
		sql = append(sql, "COMMENT ON ROLE "+Quote(r.Name)+" IS "+Literal(r.comment))
	}
	return sql
}

// GrantSQL returns the statement that makes the role a member of a parent.
func (r *Role) GrantSQL(m Membership) string {
	return strings.TrimRight("GRANT "+Quote(m.Role)+" TO "+Quote(r.Name)+" "+m.Options, " ")
}

// Literal writes a string literal that reads the same under any session setting.
func Literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// listSettings are the parameters whose values are lists of quoted names
// (GUC_LIST_QUOTE): one literal for each name, not one for all.
var listSettings = []string{"local_preload_libraries", "search_path", "session_preload_libraries",
	"shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"}

func settingSQL(name, value string) string {
	parts := strings.Split(name, ".")
	sql := pgx.Identifier(parts).Sanitize() + " TO "
	if !slices.Contains(listSettings, strings.ToLower(name)) {
		return sql + Literal(value)
	}
	var items []string
	for _, item := range splitNames(value) {
		items = append(items, Literal(item))
	}
	if len(items) == 0 {
		return sql + "''"
	}
	return sql + strings.Join(items, ", ")
}

// splitNames cuts a list of names, some in double quotes, at its commas.
func splitNames(list string) []string {
	var names []string
	for list = strings.TrimLeft(list, " "); list != ""; list = strings.TrimLeft(list, " ,") {
		if list[0] != '"' {
			name, rest, _ := strings.Cut(list, ",")
			names, list = append(names, strings.TrimSpace(name)), rest
			continue
		}
		var b strings.Builder
		i := 1
		for ; i < len(list); i++ {
			if list[i] == '"' {
				if i+1 < len(list) && list[i+1] == '"' {
					i++
				} else {
					break
				}
			}
			b.WriteByte(list[i])
		}
		names, list = append(names, b.String()), list[min(i+1, len(list)):]
	}
	return names
}

// RoleNames returns the names of all roles of the server.
func RoleNames(ctx context.Context, conn *pgx.Conn) (map[string]bool, error) {
	rows, err := conn.Query(ctx, `SELECT rolname::text FROM pg_catalog.pg_roles`)
	if err != nil {
		return nil, fmt.Errorf("read the roles: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the roles: %w", err)
	}
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set, nil
}

// Roles returns the roles of the server by name. Password hashes are included
// if the current role may read them.
func Roles(ctx context.Context, conn *pgx.Conn, version int) (map[string]*Role, error) {
	roles, err := roleAttributes(ctx, conn)
	if err != nil {
		return nil, err
	}
	if err := rolePasswords(ctx, conn, roles); err != nil {
		return nil, err
	}
	return roles, memberships(ctx, conn, version, roles)
}

func roleAttributes(ctx context.Context, conn *pgx.Conn) (map[string]*Role, error) {
	rows, err := conn.Query(ctx, `
SELECT rolname::text, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
  rolconnlimit, COALESCE(rolvaliduntil::text, ''), COALESCE(pg_catalog.shobj_description(oid, 'pg_authid'), ''),
  COALESCE((SELECT setconfig FROM pg_catalog.pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0), '{}')
FROM pg_catalog.pg_roles r`, session.Arrays)
	if err != nil {
		return nil, fmt.Errorf("read the roles: %w", err)
	}
	roles := map[string]*Role{}
	var inherit, createRole, createDB, replication, bypassRLS bool
	var limit int
	var validUntil string
	for rows.Next() {
		r := &Role{}
		if err := rows.Scan(&r.Name, &r.Superuser, &inherit, &createRole, &createDB, &r.Login, &replication, &bypassRLS,
			&limit, &validUntil, &r.comment, &r.settings); err != nil {
			return nil, fmt.Errorf("read the roles: %w", err)
		}
		flag := func(on bool, name string) {
			if !on {
				name = "NO" + name
			}
			r.attributes = append(r.attributes, name)
		}
		flag(r.Superuser, "SUPERUSER")
		flag(inherit, "INHERIT")
		flag(createRole, "CREATEROLE")
		flag(createDB, "CREATEDB")
		flag(r.Login, "LOGIN")
		// Both need a superuser even to be denied, and are off by default.
		if replication {
			flag(true, "REPLICATION")
		}
		if bypassRLS {
			flag(true, "BYPASSRLS")
		}
		if limit != -1 {
			r.attributes = append(r.attributes, fmt.Sprintf("CONNECTION LIMIT %d", limit))
		}
		if validUntil != "" {
			r.attributes = append(r.attributes, "VALID UNTIL "+Literal(validUntil))
		}
		roles[r.Name] = r
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the roles: %w", err)
	}
	return roles, nil
}

// rolePasswords reads the hashes, which only superusers may on most servers.
// The attempt must not abort the transaction it may run in.
func rolePasswords(ctx context.Context, conn *pgx.Conn, roles map[string]*Role) error {
	var readable bool
	err := conn.QueryRow(ctx, `SELECT pg_catalog.has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT')`).Scan(&readable)
	if err != nil {
		return fmt.Errorf("read the privileges on roles: %w", err)
	}
	if !readable {
		for _, r := range roles {
			r.PasswordUnknown = r.Login
		}
		return nil
	}
	rows, err := conn.Query(ctx, `SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL`)
	if err == nil {
		var name, password string
		_, err = pgx.ForEachRow(rows, []any{&name, &password}, func() error {
			if r := roles[name]; r != nil {
				r.password = password
			}
			return nil
		})
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return fmt.Errorf("read the password hashes of roles: %w", server)
	}
	return err
}

func memberships(ctx context.Context, conn *pgx.Conn, version int, roles map[string]*Role) error {
	options := `CASE WHEN pg_catalog.bool_or(m.admin_option) THEN 'WITH ADMIN OPTION' ELSE '' END`
	if version >= 160000 {
		options = `pg_catalog.upper(pg_catalog.format('WITH ADMIN %s, INHERIT %s, SET %s', pg_catalog.bool_or(m.admin_option)::text,
  pg_catalog.bool_or(m.inherit_option)::text, pg_catalog.bool_or(m.set_option)::text))`
	}
	// A role can be granted by several grantors; one grant carries over, with
	// all that they allow together. Since 16 whoever creates a role has two of
	// the kind: ADMIN from the system, the rest from itself.
	rows, err := conn.Query(ctx, `
SELECT g.rolname::text, r.rolname::text, `+options+`
FROM pg_catalog.pg_auth_members m
JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
JOIN pg_catalog.pg_roles r ON r.oid = m.member
GROUP BY g.rolname, r.rolname ORDER BY g.rolname, r.rolname`)
	if err != nil {
		return fmt.Errorf("read the memberships of roles: %w", err)
	}
	var group, member string
	var text pgtype.Text
	_, err = pgx.ForEachRow(rows, []any{&group, &member, &text}, func() error {
		if r := roles[member]; r != nil {
			r.Parents = append(r.Parents, Membership{Role: group, Options: text.String})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the memberships of roles: %w", err)
	}
	return nil
}
