-- pg_attver is an option that some releases keep for themselves and no statement can set.
SELECT i.type || ' column' AS kind,
       i.identity || '.' || quote_ident(a.attname) AS object,
       i.identity AS parent,
       format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation END AS collation,
       a.attnotnull AS "not null",
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS "default",
       {{words "a.attgenerated" "s=stored,v=virtual"}} AS generated,
       CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS "generation expression",
       {{words "a.attidentity" "a=always,d=by default"}} AS identity,
       {{words "a.attstorage" "p=plain,e=external,m=main,x=extended"}} AS storage,
       {{both 14 (words "a.attcompression" "p=pglz,l=lz4")}} AS compression,
       nullif(a.attstattarget, -1) AS "statistics target",
       (SELECT array_agg(o ORDER BY o COLLATE "C") FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg\_attver=%') AS options,
       {{sorted "a.attfdwoptions"}} AS "hidden options of the foreign column",
       a.attislocal AS "defined locally"
FROM {{objects "pg_class" "c"}}
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     JOIN pg_type t ON t.oid = a.atttypid
     LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c');
