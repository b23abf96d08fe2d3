-- A sequence of an unlogged table is unlogged itself from 15 on.
SELECT i.type AS kind, i.identity AS object,
       o.owner::regclass AS parent,
       pg_get_userbyid(c.relowner) AS owner,
       {{both 15 "CASE c.relpersistence WHEN 'p' THEN 'permanent' ELSE 'unlogged' END"}} AS persistence,
       format_type(s.seqtypid, NULL) AS type,
       s.seqstart AS start, s.seqincrement AS increment, s.seqmin AS minimum, s.seqmax AS maximum,
       s.seqcache AS cache, s.seqcycle AS cycle,
       o.owner::regclass || '.' || quote_ident(o.attname) AS "owned by"
FROM {{objects "pg_class" "c"}}
     JOIN pg_sequence s ON s.seqrelid = c.oid
     LEFT JOIN LATERAL (
         SELECT a.attrelid AS owner, a.attname
         FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
           AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) AS o ON true;
