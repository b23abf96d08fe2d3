-- Tables, views, materialized views and foreign tables. The order of columns that a child table inherits is left out:
-- pg_dump cannot restore it.
SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(c.relowner) AS owner,
       {{words "c.relpersistence" "p=permanent,u=unlogged"}} AS persistence,
       am.amname AS "access method",
       ts.spcname AS tablespace,
       {{sorted "c.reloptions"}} AS options,
       {{sorted "toast.reloptions"}} AS "toast options",
       {{words "c.relreplident" "d=default,n=nothing,f=full,i=index"}} AS "replica identity",
       c.relrowsecurity AS "row security",
       c.relforcerowsecurity AS "forced row security",
       pg_get_partkeydef(c.oid) AS "partition key",
       pg_get_expr(c.relpartbound, c.oid) AS "partition bound",
       (SELECT string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno)
        FROM pg_inherits h WHERE h.inhrelid = c.oid) AS parents,
       nullif(c.reloftype, 0)::regtype AS "of type",
       CASE WHEN c.relkind = 'm' THEN c.relispopulated END AS populated,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition,
       s.srvname AS server,
       {{sorted "f.ftoptions"}} AS "hidden options of the foreign table",
       (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
        FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND (a.attinhcount = 0 OR c.relispartition)) AS "column order"
FROM {{objects "pg_class" "c"}}
     LEFT JOIN pg_am am ON am.oid = c.relam
     LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
     LEFT JOIN pg_class toast ON toast.oid = c.reltoastrelid
     LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid
     LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f');
