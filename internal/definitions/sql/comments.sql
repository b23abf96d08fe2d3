-- Comments on members of an extension come with the extension.
SELECT i.type AS kind, i.identity AS object,
       d.description AS comment
FROM pg_description d
     CROSS JOIN LATERAL {{identity "d.classoid, d.objoid, d.objsubid"}} AS i
WHERE (d.objoid >= 16384
       OR d.classoid = 'pg_extension'::regclass OR d.classoid = 'pg_largeobject'::regclass
       OR d.classoid = 'pg_namespace'::regclass AND d.objoid = 2200)
  AND (i.schema IS NULL OR i.schema !~ '^pg_(temp|toast)')
  AND NOT EXISTS (SELECT FROM pg_depend x
                  WHERE x.classid = d.classoid AND x.objid = d.objoid AND x.deptype = 'e');
