-- A trigger of a partitioned table has a clone on every partition, which can be enabled on its own.
SELECT k.type AS kind, k.identity AS object, i.identity AS parent,
       pg_get_triggerdef(g.oid) AS definition,
       {{words "g.tgenabled" "O=enabled,D=disabled,R=replica,A=always"}} AS state
FROM {{objects "pg_class" "c"}}
     JOIN pg_trigger g ON g.tgrelid = c.oid
     CROSS JOIN LATERAL {{identity "'pg_trigger'::regclass, g.oid, 0"}} AS k
WHERE (NOT g.tgisinternal OR g.tgparentid <> 0)
  AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.oid = g.tgconstraint AND f.contype <> 't');

SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(e.evtowner) AS owner,
       e.evtevent AS event,
       e.evtfoid::regprocedure AS function,
       {{sorted "e.evttags"}} AS tags,
       {{words "e.evtenabled" "O=enabled,D=disabled,R=replica,A=always"}} AS state
FROM {{objects "pg_event_trigger" "e"}};

SELECT k.type AS kind, k.identity AS object, i.identity AS parent,
       pg_get_ruledef(u.oid) AS definition,
       {{words "u.ev_enabled" "O=enabled,D=disabled,R=replica,A=always"}} AS state
FROM {{objects "pg_class" "c"}}
     JOIN pg_rewrite u ON u.ev_class = c.oid AND u.rulename <> '_RETURN'
     CROSS JOIN LATERAL {{identity "'pg_rewrite'::regclass, u.oid, 0"}} AS k;

SELECT k.type AS kind, k.identity AS object, i.identity AS parent,
       CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END AS "kind of policy",
       {{words "p.polcmd" "*=all,r=select,a=insert,w=update,d=delete"}} AS command,
       (SELECT string_agg(CASE WHEN role = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(role) END, ', '
                          ORDER BY pg_get_userbyid(role) COLLATE "C") FROM unnest(p.polroles) role) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS "using",
       pg_get_expr(p.polwithcheck, p.polrelid) AS "with check"
FROM {{objects "pg_class" "c"}}
     JOIN pg_policy p ON p.polrelid = c.oid
     CROSS JOIN LATERAL {{identity "'pg_policy'::regclass, p.oid, 0"}} AS k;
