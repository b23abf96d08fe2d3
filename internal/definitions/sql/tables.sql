-- What holds rows, and the partitioned tables above it. Hash partitioning by an enum depends on OIDs, and by a
-- nondeterministic collation on its library: rows may lie in other partitions on the other side.
SELECT i.identity AS object,
       c.oid::bigint AS oid,
       c.relkind = 'p' AS partitioned,
       CASE WHEN c.relispartition THEN (SELECT h.inhparent::bigint FROM pg_inherits h WHERE h.inhrelid = c.oid) END AS parent,
       c.relkind = 'p' AND EXISTS (
           SELECT FROM pg_partitioned_table p
           WHERE p.partrelid = c.oid AND p.partstrat = 'h'
             AND (EXISTS (SELECT FROM unnest(p.partclass::oid[]) k
                               JOIN pg_opclass o ON o.oid = k
                               JOIN pg_type t ON t.oid = o.opcintype
                          WHERE t.typtype = 'p')
                  OR EXISTS (SELECT FROM pg_collation l
                             WHERE l.oid = ANY (p.partcollation::oid[]) AND NOT l.collisdeterministic))) AS unstable,
       i.type AS kind,
       c.relispopulated AS populated,
       x.condition AS condition,
       coalesce(pg_table_size(c.oid), 0) AS bytes,
       a.names AS names,
       a.types AS types,
       a.generated AS generated
FROM pg_class c
     JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN LATERAL (SELECT coalesce(e.extcondition[array_position(e.extconfig, c.oid)], '') AS condition
                        FROM pg_extension e WHERE c.oid = ANY (e.extconfig)) AS x ON true
     CROSS JOIN LATERAL (SELECT coalesce(array_agg(quote_ident(a.attname) ORDER BY a.attnum), '{}') AS names,
                                coalesce(array_agg(a.atttypid::bigint ORDER BY a.attnum), '{}') AS types,
                                coalesce(bool_or(a.attgenerated <> ''), false) AS generated
                         FROM pg_attribute a
                         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                           AND a.attgenerated <> 'v') AS a
     CROSS JOIN LATERAL {{identity "'pg_class'::regclass, c.oid, 0"}} AS i
WHERE c.relkind IN ('r', 'p', 'm') AND {{userSchema "n.nspname"}}
  AND (x.condition IS NOT NULL OR NOT {{member "pg_class" "c.oid"}});
