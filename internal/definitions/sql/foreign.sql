-- Options of foreign objects hold passwords: they are compared and never shown.
SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(f.fdwowner) AS owner,
       f.fdwhandler::regproc AS handler,
       f.fdwvalidator::regproc AS validator,
       {{sorted "f.fdwoptions"}} AS "hidden options"
FROM {{objects "pg_foreign_data_wrapper" "f"}};

SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(s.srvowner) AS owner,
       w.fdwname AS "foreign-data wrapper",
       s.srvtype AS type,
       s.srvversion AS version,
       {{sorted "s.srvoptions"}} AS "hidden options"
FROM {{objects "pg_foreign_server" "s"}} JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw;

SELECT 'user mapping' AS kind, i.identity AS object,
       quote_ident(m.srvname) AS parent,
       {{sorted "m.umoptions"}} AS "hidden options"
FROM pg_user_mappings m CROSS JOIN LATERAL {{identity "'pg_user_mapping'::regclass, m.umid, 0"}} AS i;
