-- The constructors of a range type come with it.
SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(p.proowner) AS owner,
       pg_get_functiondef(p.oid) AS definition
FROM {{objects "pg_proc" "p"}}
WHERE p.prokind <> 'a' AND NOT {{internal "pg_proc" "p.oid"}};

SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(p.proowner) AS owner,
       pg_get_function_arguments(p.oid) AS arguments,
       pg_get_function_result(p.oid) AS result,
       {{words "p.proparallel" "s=safe,r=restricted,u=unsafe"}} AS parallel,
       {{words "a.aggkind" "n=normal,o=ordered set,h=hypothetical set"}} AS "kind of aggregate",
       a.aggtransfn::regprocedure AS "transition function",
       a.aggtranstype::regtype AS "state type",
       a.aggtransspace AS "state size",
       a.agginitval AS "initial value",
       a.aggfinalfn::regprocedure AS "final function",
       a.aggfinalextra AS "final extra arguments",
       a.aggfinalmodify AS "final modify",
       a.aggcombinefn::regprocedure AS "combine function",
       a.aggserialfn::regprocedure AS "serial function",
       a.aggdeserialfn::regprocedure AS "deserial function",
       a.aggmtransfn::regprocedure AS "moving transition function",
       a.aggminvtransfn::regprocedure AS "moving inverse function",
       a.aggmtranstype::regtype AS "moving state type",
       a.aggmtransspace AS "moving state size",
       a.aggminitval AS "moving initial value",
       a.aggmfinalfn::regprocedure AS "moving final function",
       a.aggmfinalextra AS "moving final extra arguments",
       a.aggmfinalmodify AS "moving final modify",
       a.aggsortop::regoperator AS "sort operator"
FROM {{objects "pg_proc" "p"}} JOIN pg_aggregate a ON a.aggfnoid = p.oid;
