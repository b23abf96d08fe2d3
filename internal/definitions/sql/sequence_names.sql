SELECT i.identity AS object
FROM pg_class c
     JOIN pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL {{identity "'pg_class'::regclass, c.oid, 0"}} AS i
WHERE c.relkind = 'S' AND {{userSchema "n.nspname"}}
  AND (NOT {{member "pg_class" "c.oid"}} OR EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)));
