SELECT CASE WHEN s.classoid = 'pg_database'::regclass THEN 'database' ELSE i.type END AS kind,
       CASE WHEN s.classoid = 'pg_database'::regclass THEN {{.Database}} ELSE i.identity END AS object,
       string_agg(s.provider || ': ' || s.label, '; ' ORDER BY s.provider COLLATE "C") AS "security label"
FROM (SELECT classoid, objoid, objsubid, provider, label FROM pg_seclabel
      UNION ALL
      SELECT classoid, objoid, 0, provider, label FROM pg_shseclabel
      WHERE classoid = 'pg_database'::regclass
        AND objoid = (SELECT oid FROM pg_database WHERE datname = current_database())) s
     CROSS JOIN LATERAL {{identity "s.classoid, s.objoid, s.objsubid"}} AS i
WHERE (i.schema IS NULL OR i.schema !~ '^pg_(temp|toast)')
GROUP BY 1, 2;

-- ALTER ... DEPENDS ON EXTENSION.
SELECT i.type AS kind, i.identity AS object,
       string_agg(e.extname, ', ' ORDER BY e.extname COLLATE "C") AS "depends on extensions"
FROM pg_depend d
     JOIN pg_extension e ON e.oid = d.refobjid
     CROSS JOIN LATERAL {{identity "d.classid, d.objid, d.objsubid"}} AS i
WHERE d.deptype = 'x' AND d.refclassid = 'pg_extension'::regclass
GROUP BY 1, 2;
