-- NOT NULL of a column is a constraint of its own from 18 on, of a domain from 17 on. The foreign keys that a
-- partitioned table's own ones spread over the partitions have names that nobody chose.
SELECT k.type AS kind, k.identity AS object, i.identity AS parent,
       pg_get_constraintdef(o.oid) AS definition,
       o.convalidated AS validated,
       o.conislocal AS "defined locally"
FROM {{objects "pg_class" "c"}}
     JOIN pg_constraint o ON o.conrelid = c.oid
     CROSS JOIN LATERAL {{identity "'pg_constraint'::regclass, o.oid, 0"}} AS k
WHERE (o.contype IN ('c', 'p', 'u', 'x') OR o.contype = 'f' AND o.conparentid = 0
       OR o.contype = 'n' AND {{both 18 "true" "false"}});

SELECT k.type AS kind, k.identity AS object, i.identity AS parent,
       pg_get_constraintdef(o.oid) AS definition,
       o.convalidated AS validated
FROM {{objects "pg_type" "t"}}
     JOIN pg_constraint o ON o.contypid = t.oid
     CROSS JOIN LATERAL {{identity "'pg_constraint'::regclass, o.oid, 0"}} AS k
WHERE (o.contype = 'c' OR o.contype = 'n' AND {{both 17 "true" "false"}});
