SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(l.lanowner) AS owner,
       l.lanpltrusted AS trusted,
       l.lanplcallfoid::regprocedure AS handler,
       l.laninline::regprocedure AS inline,
       l.lanvalidator::regprocedure AS validator
FROM {{objects "pg_language" "l"}};

SELECT i.type AS kind, i.identity AS object,
       {{words "a.amtype" "i=index,t=table"}} AS "kind of method",
       a.amhandler::regproc AS handler
FROM {{objects "pg_am" "a"}};

SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(c.conowner) AS owner,
       pg_encoding_to_char(c.conforencoding) AS "source encoding",
       pg_encoding_to_char(c.contoencoding) AS "target encoding",
       c.conproc::regproc AS function,
       c.condefault AS "default"
FROM {{objects "pg_conversion" "c"}};

-- The version of a collation is the library's affair, and differs wherever the library does.
SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(c.collowner) AS owner,
       {{words "c.collprovider" "c=libc,i=icu,b=builtin,d=default"}} AS provider,
       coalesce({{locale "c.coll"}}, c.collcollate) AS locale,
       CASE WHEN c.collprovider = 'c' THEN c.collctype END AS ctype,
       {{since 16 "c.collicurules"}} AS "icu rules",
       c.collisdeterministic AS deterministic
FROM {{objects "pg_collation" "c"}};
