SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(p.pubowner) AS owner,
       p.puballtables AS "all tables",
       p.pubinsert AS inserts, p.pubupdate AS updates, p.pubdelete AS deletes, p.pubtruncate AS truncates,
       p.pubviaroot AS "via root",
       {{both 18 "p.pubgencols"}} AS "generated columns"
FROM {{objects "pg_publication" "p"}};

SELECT k.type AS kind, k.identity AS object, i.identity AS parent,
       {{since 15 "pg_get_expr(r.prqual, r.prrelid)"}} AS "row filter",
       {{since 15 "(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE \"C\") FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs))"}} AS columns,
       i.identity AS publication
FROM {{objects "pg_publication" "p"}}
     JOIN pg_publication_rel r ON r.prpubid = p.oid
     CROSS JOIN LATERAL {{identity "'pg_publication_rel'::regclass, r.oid, 0"}} AS k;
{{if ge .Major 15}}
SELECT k.type AS kind, k.identity AS object, i.identity AS parent,
       i.identity AS publication
FROM {{objects "pg_publication" "p"}}
     JOIN pg_publication_namespace r ON r.pnpubid = p.oid
     CROSS JOIN LATERAL {{identity "'pg_publication_namespace'::regclass, r.oid, 0"}} AS k
{{end}};

-- The connection string holds a password, and not everybody may read it.
{{if .Subscriptions}}
SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(s.subowner) AS owner,
       s.subenabled AS enabled,
       s.subconninfo AS "hidden connection string",
       s.subslotname AS "slot name",
       s.subsynccommit AS "synchronous commit",
       {{sorted "s.subpublications"}} AS publications,
       {{both 14 "s.subbinary"}} AS binary,
       {{both 14 "CASE s.substream::text WHEN 'false' THEN 'f' WHEN 'true' THEN 't' ELSE s.substream::text END"}} AS streaming,
       {{both 15 "s.subtwophasestate <> 'd'"}} AS "two phase",
       {{both 15 "s.subdisableonerr"}} AS "disable on error",
       {{both 16 "s.suborigin"}} AS origin,
       {{both 16 "s.subpasswordrequired"}} AS "password required",
       {{both 16 "s.subrunasowner"}} AS "run as owner",
       {{both 17 "s.subfailover"}} AS failover
FROM pg_subscription s
     CROSS JOIN LATERAL {{identity "'pg_subscription'::regclass, s.oid, 0"}} AS i
WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
{{end}};
