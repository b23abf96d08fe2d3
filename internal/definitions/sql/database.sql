-- The database itself, under the name it has on the first side.
SELECT 'database' AS kind, {{.Database}} AS object,
       pg_get_userbyid(d.datdba) AS owner,
       pg_encoding_to_char(d.encoding) AS encoding,
       {{since 15 (words "d.datlocprovider" "c=libc,i=icu,b=builtin") "'libc'"}} AS "locale provider",
       d.datcollate AS "collate",
       d.datctype AS ctype,
       {{locale "d.dat"}} AS "provider's locale",
       {{since 16 "d.daticurules"}} AS "icu rules",
       d.datconnlimit AS "connection limit",
       d.datistemplate AS template,
       t.spcname AS tablespace,
       shobj_description(d.oid, 'pg_database') AS comment
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace
WHERE d.datname = current_database();

-- ALTER DATABASE SET and ALTER ROLE IN DATABASE SET.
SELECT 'database setting' AS kind,
       split_part(setting, '=', 1) || CASE WHEN s.setrole = 0 THEN '' ELSE ' for role ' || quote_ident(pg_get_userbyid(s.setrole)) END AS object,
       substr(setting, strpos(setting, '=') + 1) AS value
FROM pg_database d
     JOIN pg_db_role_setting s ON s.setdatabase = d.oid
     CROSS JOIN unnest(s.setconfig) AS setting
WHERE d.datname = current_database();
