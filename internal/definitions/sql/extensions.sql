-- An extension's owner is whoever created it, and no statement changes that: it is not compared.
SELECT 'extension' AS kind, quote_ident(e.extname) AS object,
       e.extversion AS version,
       n.nspname AS schema
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace;

-- Types that come with another type or a table are members from 17 on.
SELECT 'member of extension' AS kind, i.type || ' ' || i.identity AS object,
       quote_ident(e.extname) AS parent,
       e.extname AS extension
FROM pg_depend d
     JOIN pg_extension e ON e.oid = d.refobjid
     CROSS JOIN LATERAL {{identity "d.classid, d.objid, d.objsubid"}} AS i
WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
  AND NOT EXISTS (SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
                  WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid
                    AND (t.typcategory = 'A' OR t.typtype = 'm' OR c.relkind <> 'c'));
