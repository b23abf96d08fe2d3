SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(o.oprowner) AS owner,
       o.oprcode::regprocedure AS function,
       o.oprresult::regtype AS result,
       o.oprcom::regoperator AS commutator,
       o.oprnegate::regoperator AS negator,
       o.oprrest::regproc AS "restriction estimator",
       o.oprjoin::regproc AS "join estimator",
       o.oprcanmerge AS merges,
       o.oprcanhash AS hashes
FROM {{objects "pg_operator" "o"}};

SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(o.opcowner) AS owner,
       (pg_identify_object('pg_opfamily'::regclass, o.opcfamily, 0)).identity AS family,
       o.opcintype::regtype AS type,
       o.opckeytype::regtype AS storage,
       o.opcdefault AS "default"
FROM {{objects "pg_opclass" "o"}};

SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(f.opfowner) AS owner,
       (SELECT array_agg(entry ORDER BY entry COLLATE "C") FROM (
            SELECT format('%s %s%s', m.amopstrategy, m.amopopr::regoperator,
                          ' for order by ' || (pg_identify_object('pg_opfamily'::regclass, nullif(m.amopsortfamily, 0), 0)).identity) AS entry
            FROM pg_amop m WHERE m.amopfamily = f.oid) x) AS operators,
       (SELECT array_agg(entry ORDER BY entry COLLATE "C") FROM (
            SELECT format('%s (%s, %s) %s', m.amprocnum, m.amproclefttype::regtype, m.amprocrighttype::regtype, m.amproc::regprocedure) AS entry
            FROM pg_amproc m WHERE m.amprocfamily = f.oid) x) AS functions
FROM {{objects "pg_opfamily" "f"}};

SELECT i.type AS kind, i.identity AS object,
       nullif(c.castfunc, 0)::regprocedure AS function,
       {{words "c.castcontext" "e=explicit,a=assignment,i=implicit"}} AS context,
       {{words "c.castmethod" "f=function,i=inout,b=binary"}} AS method
FROM {{objects "pg_cast" "c"}}
WHERE NOT {{internal "pg_cast" "c.oid"}};

SELECT i.type AS kind, i.identity AS object,
       t.trffromsql::regprocedure AS "from sql",
       t.trftosql::regprocedure AS "to sql"
FROM {{objects "pg_transform" "t"}};
