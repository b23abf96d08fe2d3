SELECT i.type AS kind, i.identity AS object,
       s.stxrelid::regclass AS parent,
       pg_get_userbyid(s.stxowner) AS owner,
       pg_get_statisticsobjdef(s.oid) AS definition,
       nullif(s.stxstattarget, -1) AS "statistics target"
FROM {{objects "pg_statistic_ext" "s"}};
