package restore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgberth/pgberth/internal/session"
)

// Existing is the database that has the final name already.
type Existing struct {
	Owner    string
	Bytes    int64
	Empty    bool // it holds no object of a user
	Sessions []string
	Prepared []string // prepared transactions, which outlive their sessions
	Foreign  bool     // the role may not rename it
}

// Inspect looks at the database that has the final name; nil if there is none.
func (t *Target) Inspect(ctx context.Context) (*Existing, error) {
	e := &Existing{}
	err := t.admin.QueryRow(ctx, `
SELECT pg_catalog.pg_get_userbyid(datdba)::text, pg_catalog.pg_database_size(oid), NOT ($2 OR pg_catalog.pg_has_role(datdba, 'MEMBER')),
  ARRAY(`+sessionsQuery+`), ARRAY(`+preparedQuery+`)
FROM pg_catalog.pg_database WHERE datname = $1`, t.Name, t.Superuser).Scan(&e.Owner, &e.Bytes, &e.Foreign, &e.Sessions, &e.Prepared)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at database %q: %w", t.Name, err)
	}
	e.Empty, err = t.isEmpty(ctx, t.Name)
	return e, err
}

// isEmpty looks into a database. One that lets nobody in is not known to be empty.
func (t *Target) isEmpty(ctx context.Context, name string) (empty bool, err error) {
	conn, err := t.session(ctx, name, "UTF8", "")
	if session.HasCode(err, "55000") {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look into database %q: %w", name, err)
	}
	defer session.Leave(ctx, conn)
	if err := conn.QueryRow(ctx, emptyQuery).Scan(&empty); err != nil {
		return false, fmt.Errorf("look into database %q: %w", name, err)
	}
	return empty, nil
}

// emptyQuery finds whether a database holds anything a user made: objects with
// OIDs that initdb does not give, less those of extensions, of which images
// come with some, and what is but a part of another object: an extension does
// not own its types' array types and its tables' indexes. Default privileges are
// rights of roles, and stay when what a run in place made is gone.
const emptyQuery = `
WITH mine AS (
  SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS class, oid, relnamespace AS namespace FROM pg_catalog.pg_class WHERE relkind NOT IN ('i', 'I')
  UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, pronamespace FROM pg_catalog.pg_proc
  UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typnamespace FROM pg_catalog.pg_type
  UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, oprnamespace FROM pg_catalog.pg_operator
  UNION ALL SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass, oid, opfnamespace FROM pg_catalog.pg_opfamily
  UNION ALL SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, oid, collnamespace FROM pg_catalog.pg_collation
  UNION ALL SELECT 'pg_catalog.pg_conversion'::pg_catalog.regclass, oid, connamespace FROM pg_catalog.pg_conversion
  UNION ALL SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, oid, cfgnamespace FROM pg_catalog.pg_ts_config
  UNION ALL SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, oid, dictnamespace FROM pg_catalog.pg_ts_dict
  UNION ALL SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid, oid FROM pg_catalog.pg_namespace WHERE nspname <> 'public'
  UNION ALL SELECT 'pg_catalog.pg_language'::pg_catalog.regclass, oid, NULL FROM pg_catalog.pg_language
  UNION ALL SELECT 'pg_catalog.pg_cast'::pg_catalog.regclass, oid, NULL FROM pg_catalog.pg_cast
  UNION ALL SELECT 'pg_catalog.pg_am'::pg_catalog.regclass, oid, NULL FROM pg_catalog.pg_am
  UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, oid, NULL FROM pg_catalog.pg_foreign_data_wrapper
  UNION ALL SELECT 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, oid, NULL FROM pg_catalog.pg_foreign_server
  UNION ALL SELECT 'pg_catalog.pg_publication'::pg_catalog.regclass, oid, NULL FROM pg_catalog.pg_publication
  UNION ALL SELECT 'pg_catalog.pg_event_trigger'::pg_catalog.regclass, oid, NULL FROM pg_catalog.pg_event_trigger
  UNION ALL SELECT 'pg_catalog.pg_largeobject'::pg_catalog.regclass, oid, NULL FROM pg_catalog.pg_largeobject_metadata
)
SELECT NOT EXISTS (SELECT 1 FROM mine LEFT JOIN pg_catalog.pg_namespace n ON n.oid = mine.namespace
    WHERE (mine.oid >= 16384 OR mine.class = 'pg_catalog.pg_largeobject'::pg_catalog.regclass)
      AND (n.oid IS NULL OR n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = mine.class AND d.objid = mine.oid AND d.deptype IN ('e', 'i')))
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
    WHERE d.datname = pg_catalog.current_database())`

// sessionsQuery lists who is connected to the database $1, and preparedQuery its prepared transactions.
const (
	sessionsQuery = `
SELECT pg_catalog.format('pid %s (%s%s%s)', pid, COALESCE(usename, '?'),
  CASE WHEN application_name <> '' THEN ', ' || application_name ELSE '' END,
  COALESCE(', from ' || pg_catalog.host(client_addr), ''))
FROM pg_catalog.pg_stat_activity
WHERE datname = $1 AND pid <> pg_catalog.pg_backend_pid() AND backend_type = 'client backend'
ORDER BY pid`
	preparedQuery = `
SELECT pg_catalog.format('%L of %s', gid, owner) FROM pg_catalog.pg_prepared_xacts WHERE database = $1 ORDER BY prepared`
)

// sessions lists who is connected to the database that has the final name.
func (t *Target) sessions(ctx context.Context) ([]string, error) {
	rows, err := t.admin.Query(ctx, sessionsQuery, t.Name)
	if err != nil {
		return nil, fmt.Errorf("list the sessions on %q: %w", t.Name, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the sessions on %q: %w", t.Name, err)
	}
	return list, nil
}
