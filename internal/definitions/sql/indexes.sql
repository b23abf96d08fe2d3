SELECT k.type AS kind, k.identity AS object, i.identity AS parent,
       pg_get_indexdef(x.indexrelid) AS definition,
       x.indisvalid AS valid,
       x.indisclustered AS "cluster mark",
       x.indisreplident AS "replica identity",
       ts.spcname AS tablespace,
       (SELECT h.inhparent::regclass FROM pg_inherits h WHERE h.inhrelid = x.indexrelid) AS "parent index",
       (SELECT string_agg(a.attnum || ': ' || a.attstattarget, ', ' ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = x.indexrelid AND a.attstattarget >= 0) AS "statistics targets"
FROM {{objects "pg_class" "c"}}
     JOIN pg_index x ON x.indrelid = c.oid
     JOIN pg_class xc ON xc.oid = x.indexrelid
     LEFT JOIN pg_tablespace ts ON ts.oid = xc.reltablespace
     CROSS JOIN LATERAL {{identity "'pg_class'::regclass, x.indexrelid, 0"}} AS k;
