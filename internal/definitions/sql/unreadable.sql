-- Whatever the role may not read, so that nothing is left out in silence.
SELECT i.type || ' ' || i.identity AS object
FROM pg_class c
     JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL {{identity "'pg_class'::regclass, c.oid, 0"}} AS i
WHERE {{if .SchemaOnly}}false{{else}}c.relkind IN ('r', 'm', 'S'){{end}} AND {{userSchema "n.nspname"}}
  AND (NOT {{member "pg_class" "c.oid"}} OR EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)))
  AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
UNION ALL
SELECT 'subscription ' || quote_ident(s.subname)
FROM pg_subscription s
WHERE s.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
  AND NOT has_column_privilege('pg_subscription', 'subconninfo', 'SELECT')
UNION ALL
SELECT 'user mapping ' || i.identity
FROM pg_user_mappings m
     JOIN pg_foreign_server s ON s.oid = m.srvid
     CROSS JOIN LATERAL {{identity "'pg_user_mapping'::regclass, m.umid, 0"}} AS i
WHERE m.umoptions IS NULL
  AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)
  AND NOT (m.umuser <> 0 AND m.usename = current_user
           AND (pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE')))
  AND NOT (m.umuser = 0 AND pg_has_role(s.srvowner, 'USAGE'))
ORDER BY 1;
