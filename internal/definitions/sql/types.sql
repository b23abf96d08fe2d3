SELECT i.type AS kind, i.identity AS object,
       {{words "t.typtype" "e=enum,d=domain,r=range,c=composite,b=base,p=shell"}} AS "kind of type",
       pg_get_userbyid(t.typowner) AS owner,
       (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
       CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS "base type",
       CASE WHEN t.typtype = 'd' THEN t.typnotnull END AS "not null",
       CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN t.typcollation::regcollation END AS collation,
       coalesce(pg_get_expr(t.typdefaultbin, 'pg_type'::regclass), t.typdefault) AS "default",
       (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS "column order"
FROM {{objects "pg_type" "t"}}
     LEFT JOIN pg_type b ON b.oid = t.typbasetype
WHERE (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'p' AND NOT t.typisdefined
       OR t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
       OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'));

SELECT 'range type' AS kind, i.identity AS object, i.identity AS parent,
       format_type(r.rngsubtype, NULL) AS subtype,
       (pg_identify_object('pg_opclass'::regclass, r.rngsubopc, 0)).identity AS "operator class",
       r.rngcollation::regcollation AS collation,
       r.rngcanonical::regproc AS canonical,
       r.rngsubdiff::regproc AS subdiff,
       {{both 14 "r.rngmultitypid::regtype"}} AS multirange
FROM {{objects "pg_type" "t"}} JOIN pg_range r ON r.rngtypid = t.oid;

SELECT 'base type' AS kind, i.identity AS object, i.identity AS parent,
       t.typlen AS length, t.typbyval AS "by value", t.typalign AS alignment, t.typstorage AS storage,
       t.typcategory AS category, t.typispreferred AS preferred, t.typdelim AS delimiter,
       t.typelem::regtype AS element, t.typcollation <> 0 AS collatable,
       t.typinput::regproc AS input, t.typoutput::regproc AS output,
       t.typreceive::regproc AS receive, t.typsend::regproc AS send,
       t.typmodin::regproc AS "typmod input", t.typmodout::regproc AS "typmod output",
       t.typanalyze::regproc AS analyze,
       {{both 14 "t.typsubscript::regproc"}} AS subscript
FROM {{objects "pg_type" "t"}}
WHERE t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid);
