package drill

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/archive"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/internal/session"
)

// checkSmoke reads, as the application's role, a row of everything that the role may read: tables and views.
func (d *drill) checkSmoke(ctx context.Context, super *pgx.Conn) error {
	if d.SmokeAs == "" {
		return nil
	}
	return d.timed("smoke", "The application's role "+d.SmokeAs+" can read", func(c *Check) error {
		c.Expected = "at least one table, and all that it may read"
		if d.SmokeIfThere {
			known, err := d.knowsRole(ctx, super, d.SmokeAs)
			if err != nil {
				return err
			}
			if !known {
				c.skip("no role " + d.SmokeAs + " in this backup")
				return nil
			}
		}
		conn, err := d.connect(ctx, d.database)
		if err != nil {
			return err
		}
		defer session.HangUp(ctx, conn)
		if _, err := conn.PgConn().Exec(ctx, "SET row_security = on; SET SESSION AUTHORIZATION "+archive.QuoteIdent(d.SmokeAs)).ReadAll(); err != nil {
			text, ok := sqlError(err)
			if ok {
				c.fail("nobody of that name", text)
				return nil
			}
			return err
		}
		rows, err := conn.Query(ctx, `
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT c.relispartition
  AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') ORDER BY 1`)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(names) == 0 {
			c.fail("it may read nothing", "role "+d.SmokeAs+" has neither a table nor a view that it may read")
			return nil
		}
		c.Found = human.Count(len(names), "table or view", "tables and views")
		for _, name := range names {
			err := inSnapshot(ctx, conn, func() error {
				if _, err := conn.Exec(ctx, "SET LOCAL statement_timeout = '1min'"); err != nil {
					return err
				}
				_, err := conn.Exec(ctx, "SELECT * FROM "+name+" LIMIT 1", pgx.QueryExecModeExec)
				return err
			})
			if text, ok := sqlError(err); ok && !isTrouble(err) {
				c.fail("", fmt.Sprintf("%s: %s", name, text))
			} else if err != nil {
				return fmt.Errorf("read %s as %s: %w", name, d.SmokeAs, err)
			}
		}
		return nil
	})
}

// knowsRole reports whether a role was restored, or ought to have been.
func (d *drill) knowsRole(ctx context.Context, super *pgx.Conn, name string) (known bool, err error) {
	if m := d.source.manifest(); m != nil && slices.ContainsFunc(m.Roles, func(r archive.ManifestRole) bool { return r.Name == name }) {
		return true, nil
	}
	err = super.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)", name).Scan(&known)
	return known, err
}

// checkBtrees has amcheck hold every B-tree against its table. It comes last, since it adds an extension.
func (d *drill) checkBtrees(ctx context.Context, conn *pgx.Conn) error {
	if !d.Amcheck {
		return nil
	}
	return d.timed("amcheck", "B-trees hold what their tables hold (amcheck)", func(c *Check) error {
		if _, err := conn.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA pg_catalog"); err != nil {
			return fmt.Errorf("amcheck, which was asked for: %w", err)
		}
		var function string
		if err := conn.QueryRow(ctx, `
SELECT pg_catalog.format('%I.bt_index_check', n.nspname) FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'amcheck'`).Scan(&function); err != nil {
			return err
		}
		rows, err := conn.Query(ctx, `
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid
JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.relpersistence <> 't' AND x.indisvalid AND x.indisready ORDER BY 1`)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		c.Expected, c.Found = human.Count(len(names), "index", "indexes"), "sound"
		for _, name := range names {
			_, err := conn.Exec(ctx, "SELECT "+function+"("+archive.QuoteLiteral(name)+"::regclass, true)", pgx.QueryExecModeExec)
			if text, ok := sqlError(err); ok && !isTrouble(err) {
				c.fail("damage", fmt.Sprintf("index %s: %s", name, text))
			} else if err != nil {
				return fmt.Errorf("check index %s: %w", name, err)
			}
		}
		return nil
	})
}
