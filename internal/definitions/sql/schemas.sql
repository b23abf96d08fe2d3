SELECT 'schema' AS kind, quote_ident(n.nspname) AS object,
       pg_get_userbyid(n.nspowner) AS owner
FROM pg_namespace n
WHERE {{userSchema "n.nspname"}} AND NOT {{member "pg_namespace" "n.oid"}};
