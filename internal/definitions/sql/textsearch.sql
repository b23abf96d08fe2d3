SELECT i.type AS kind, i.identity AS object,
       p.prsstart::regproc AS start, p.prstoken::regproc AS token, p.prsend::regproc AS "end",
       p.prsheadline::regproc AS headline, p.prslextype::regproc AS "token types"
FROM {{objects "pg_ts_parser" "p"}};

SELECT i.type AS kind, i.identity AS object,
       t.tmplinit::regproc AS init, t.tmpllexize::regproc AS lexize
FROM {{objects "pg_ts_template" "t"}};

SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(d.dictowner) AS owner,
       (pg_identify_object('pg_ts_template'::regclass, d.dicttemplate, 0)).identity AS template,
       d.dictinitoption AS options
FROM {{objects "pg_ts_dict" "d"}};

SELECT i.type AS kind, i.identity AS object,
       pg_get_userbyid(c.cfgowner) AS owner,
       (pg_identify_object('pg_ts_parser'::regclass, c.cfgparser, 0)).identity AS parser,
       (SELECT array_agg(entry ORDER BY entry COLLATE "C") FROM (
            SELECT t.alias || ': ' || string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS entry
            FROM pg_ts_config_map m JOIN ts_token_type(c.cfgparser) t ON t.tokid = m.maptokentype
            WHERE m.mapcfg = c.oid GROUP BY t.alias) x) AS mappings
FROM {{objects "pg_ts_config" "c"}};
