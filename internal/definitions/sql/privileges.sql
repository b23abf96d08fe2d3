-- What was granted and revoked, relative to what an object starts with: what its extension or initdb recorded in
-- pg_init_privs, else the default of its kind. That changes between majors, and GRANT does not name it. public has its
-- grants shown whole, as its start changed in 15. An owner's own grants go by "(owner)", so that another owner is one
-- difference and not two. MAINTAIN exists from 17 on.
WITH acls (classid, objid, objsubid, owner, type, acl) AS (
    SELECT 'pg_class'::regclass::oid, oid, 0, relowner, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::text, relacl
    FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT 'pg_class'::regclass, a.attrelid, a.attnum, c.relowner, 'c', a.attacl
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE NOT a.attisdropped
    UNION ALL
    SELECT 'pg_proc'::regclass, oid, 0, proowner, 'f', proacl FROM pg_proc
    UNION ALL
    SELECT 'pg_type'::regclass, oid, 0, typowner, 'T', typacl FROM pg_type WHERE typtype <> 'm'
    UNION ALL
    SELECT 'pg_namespace'::regclass, oid, 0, nspowner, 'n', nspacl FROM pg_namespace
    UNION ALL
    SELECT 'pg_language'::regclass, oid, 0, lanowner, 'l', lanacl FROM pg_language
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, fdwowner, 'F', fdwacl FROM pg_foreign_data_wrapper
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, oid, 0, srvowner, 'S', srvacl FROM pg_foreign_server
    UNION ALL
    SELECT 'pg_largeobject'::regclass, oid, 0, lomowner, 'L', lomacl FROM pg_largeobject_metadata
    UNION ALL
    SELECT 'pg_database'::regclass, oid, 0, datdba, 'd', datacl FROM pg_database WHERE datname = current_database()
    UNION ALL
    SELECT 'pg_default_acl'::regclass, oid, 0, defaclrole, CASE WHEN defaclobjtype = 'S' THEN 's' ELSE defaclobjtype::text END, defaclacl
    FROM pg_default_acl
), baselines AS (
    SELECT a.*, CASE
        WHEN a.classid = 'pg_namespace'::regclass AND a.objid = 2200
             OR EXISTS (SELECT FROM pg_default_acl x
                        WHERE a.classid = 'pg_default_acl'::regclass AND x.oid = a.objid AND x.defaclnamespace <> 0)
        THEN acldefault('c', a.owner) -- nothing: '{}' has no dimension, and aclexplode wants one
        ELSE coalesce(p.initprivs, acldefault(a.type::"char", a.owner)) END AS baseline
    FROM acls a LEFT JOIN pg_init_privs p ON p.classoid = a.classid AND p.objoid = a.objid AND p.objsubid = a.objsubid
    WHERE a.acl IS NOT NULL
)
SELECT i.type AS kind,
       CASE WHEN b.classid = 'pg_database'::regclass THEN {{.Database}} ELSE i.identity END AS object,
       g.grants AS privileges
FROM baselines b
     CROSS JOIN LATERAL {{identity "b.classid, b.objid, b.objsubid"}} AS i
     CROSS JOIN LATERAL (
         SELECT string_agg(item, '; ' ORDER BY item COLLATE "C") AS grants
         FROM (
             SELECT format('%s%s: %s (by %s)', sign,
                           CASE grantee WHEN 0 THEN 'PUBLIC' WHEN b.owner THEN '(owner)' ELSE quote_ident(pg_get_userbyid(grantee)) END,
                           string_agg(privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END, ', ' ORDER BY privilege_type COLLATE "C"),
                           CASE grantor WHEN b.owner THEN '(owner)' ELSE quote_ident(pg_get_userbyid(grantor)) END) AS item
             FROM (
                 SELECT '+' AS sign, * FROM (SELECT * FROM aclexplode(b.acl) EXCEPT SELECT * FROM aclexplode(b.baseline)) given
                 UNION ALL
                 SELECT '-', * FROM (SELECT * FROM aclexplode(b.baseline) EXCEPT SELECT * FROM aclexplode(b.acl)) taken
             ) delta
             WHERE {{both 17 "true" "privilege_type <> 'MAINTAIN'"}}
             GROUP BY sign, grantee, grantor
         ) items) AS g
WHERE b.acl <> b.baseline AND g.grants IS NOT NULL
  AND (i.schema IS NULL OR i.schema !~ '^pg_(temp|toast)' AND i.schema <> 'information_schema');
