SELECT 'large object' AS kind, m.oid::text AS object,
       pg_get_userbyid(m.lomowner) AS owner
FROM pg_largeobject_metadata m;
