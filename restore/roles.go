package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgberth/pgberth/internal/catalog"
	"github.com/pgberth/pgberth/progress"
)

// Role is a role that is created if the target lacks it.
type Role struct {
	Name       string
	Superuser  bool
	NoPassword string   // why it has no password although it may log in, "" if that does not apply
	Create     []string // the first may hold a password's hash
	Grants     []Grant
}

// Grant is a membership of a role.
type Grant struct {
	Parent string
	SQL    string
}

// forServer is the statement as a server of a version takes it: before 16 a
// membership had no other option than ADMIN.
func (g Grant) forServer(version int) string {
	at := strings.LastIndex(g.SQL, " WITH ADMIN ")
	if version >= 160000 || at < 0 || strings.HasSuffix(g.SQL, " WITH ADMIN OPTION") {
		return g.SQL
	}
	if strings.HasPrefix(g.SQL[at:], " WITH ADMIN TRUE") {
		return g.SQL[:at] + " WITH ADMIN OPTION"
	}
	return g.SQL[:at]
}

// NewRole makes a Role of one that exists on the source.
func NewRole(r *catalog.Role) Role {
	role := Role{Name: r.Name, Superuser: r.Superuser, Create: r.CreateSQL(true)}
	if r.PasswordUnknown {
		role.NoPassword = "its password cannot be read at the source"
	}
	for _, m := range r.Parents {
		role.Grants = append(role.Grants, Grant{Parent: m.Role, SQL: r.GrantSQL(m)})
	}
	return role
}

// createRoles makes the roles the archive names and the target lacks. Another
// run into the same server may be making one of them: then it is left alone.
func (r *run) createRoles(ctx context.Context) error {
	if len(r.Roles) == 0 {
		return nil
	}
	const attempts = 5
	for attempt := 1; ; attempt++ {
		err := r.createMissingRoles(ctx)
		var server *pgconn.PgError
		exists := errors.As(err, &server) && (server.Code == "42710" || server.ConstraintName == "pg_authid_rolname_index")
		if !exists || attempt == attempts {
			return err
		}
	}
}

func (r *run) createMissingRoles(ctx context.Context) error {
	existing, err := catalog.RoleNames(ctx, r.Target.admin)
	if err != nil {
		return err
	}
	var names, statements []string
	for _, role := range r.Roles {
		if existing[role.Name] {
			continue // left alone
		}
		names = append(names, role.Name)
		statements = append(statements, role.Create...)
		existing[role.Name] = true
	}
	for _, role := range r.Roles {
		for _, grant := range role.Grants {
			if slices.Contains(names, role.Name) && existing[grant.Parent] {
				statements = append(statements, grant.forServer(r.Target.Version))
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	// The statements hold password hashes: they must not reach the server's log.
	if r.Target.Superuser {
		statements = append([]string{"SET LOCAL log_statement = 'none'", "SET LOCAL log_min_duration_statement = -1",
			"SET LOCAL log_min_error_statement = 'panic'"}, statements...)
	}
	if err := r.admin(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("create the roles: %w", err)
	}
	for _, statement := range statements {
		if err := r.admin(ctx, statement); err != nil {
			_ = r.admin(context.WithoutCancel(ctx), "ROLLBACK")
			// The statement itself is not shown: it may hold a hash.
			return fmt.Errorf("create roles %s: %w", strings.Join(names, ", "), err)
		}
	}
	if err := r.admin(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("create the roles: %w", err)
	}
	r.created, r.result.RolesCreated = names, names
	r.Reporter.Report(progress.Notice{Text: "created roles " + strings.Join(names, ", ")})
	return nil
}
