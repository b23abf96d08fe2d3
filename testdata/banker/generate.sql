-- Fills the sample database "banker": psql -v scale=N, about 1.3 MB for each unit of scale.
-- The same scale gives the same rows: what looks random is a hash of the row's number.

\set ON_ERROR_STOP on
\if :{?scale}
\else
\set scale 1
\endif
SET client_min_messages = warning;
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SET timezone = 'UTC';
SET ROLE banker_owner;

BEGIN;

-- pick(row, salt, n) is a number below n.
CREATE FUNCTION pg_temp.pick(i bigint, salt bigint, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    'SELECT (hashint8extended(i, salt) & 9223372036854775807) % n';

INSERT INTO schema_migrations
SELECT 20230101000000 + i * 1000000, timestamp '2023-01-01' + i * interval '1 day'
FROM generate_series(1, 24) i;

INSERT INTO players (handle, email, display_name, status, tags, settings, avatar, inserted_at, updated_at)
SELECT (ARRAY['Ace', 'river', 'Büsi', 'nut_', 'Señor', '雀士'])[1 + pg_temp.pick(i, 1, 6)] || i,
       CASE WHEN i % 7 > 0 THEN 'p' || i || '@example.org' END,
       (ARRAY['Ada', 'Zoë', 'Łukasz', 'Nils', 'Βασίλης', 'Mia'])[1 + pg_temp.pick(i, 2, 6)] || E'\t"' || i || '"',
       (ARRAY['active', 'active', 'invited', 'barred'])[1 + pg_temp.pick(i, 3, 4)]::player_status,
       CASE WHEN i % 3 = 0 THEN '{}' ELSE ARRAY['home', NULL, 'a,b', 'back\slash', '{}'] END,
       jsonb_build_object('theme', CASE WHEN i % 2 = 0 THEN 'dark' ELSE 'light' END, 'limit', i % 90 * 50, 'muted', i % 5 = 0),
       CASE WHEN i % 4 = 0 THEN
           (SELECT string_agg(sha256(convert_to(i || '/' || j, 'UTF8')), '') FROM generate_series(1, 64) j)
       END,
       t, t
FROM generate_series(1, 20 * :scale) i, LATERAL (SELECT timestamp '2023-01-01' + i * interval '7 min') AS t(t);

INSERT INTO games (host_id, title, variant, stakes, invite, rake, metadata, started_at, ended_at, inserted_at, updated_at)
SELECT 1 + pg_temp.pick(i, 4, 20 * :scale), 'Game no. ' || i,
       (ARRAY['holdem', 'holdem', 'omaha', 'stud', 'dealers_choice'])[1 + pg_temp.pick(i, 5, 5)]::game_variant,
       ROW(pg_temp.pick(i, 6, 5) + 1, 2 * (pg_temp.pick(i, 6, 5) + 1))::blinds,
       md5('game' || i)::uuid, (i % 40) / 8.0,
       jsonb_build_object('table', i % 9, 'place', 'Room ' || i % 12, 'rules', jsonb_build_array('straddle', 'no limit', NULL)),
       t, CASE WHEN i % 50 > 0 THEN t + (2 + i % 6) * interval '1 hour' END, t, t
FROM generate_series(1, 10 * :scale) i,
     LATERAL (SELECT timestamp '2023-01-05' + i * (interval '1150 days' / (10 * :scale))) AS t(t);

INSERT INTO buy_ins (game_id, player_id, amount, method, note, inserted_at, updated_at)
SELECT g.id, 1 + pg_temp.pick(g.id * 100 + j, 7, 20 * :scale), (1 + pg_temp.pick(g.id * 100 + j, 8, 20)) * 1000,
       (ARRAY['cash', 'transfer', 'credit'])[1 + pg_temp.pick(g.id * 100 + j, 9, 3)]::payment_method,
       CASE j WHEN 1 THEN '' WHEN 2 THEN E'two\nlines\\.' END, g.inserted_at, g.inserted_at
FROM games g, generate_series(1, 8) j;

INSERT INTO cash_outs (game_id, player_id, amount, method, settled_with, inserted_at, updated_at)
SELECT game_id, player_id, sum(amount), min(method), array_agg(id ORDER BY id), min(inserted_at) + interval '4 h', min(inserted_at) + interval '4 h'
FROM buy_ins WHERE id % 8 < 6 GROUP BY game_id, player_id ORDER BY game_id, player_id;

INSERT INTO hands (game_id, number, board, pot, actions, deck, played_at, inserted_at)
SELECT g.id, j,
       ARRAY[substr(cards, 1, 2), substr(cards, 3, 2), substr(cards, 5, 2)],
       pg_temp.pick(n, 10, 50000),
       jsonb_build_array(
           jsonb_build_object('seat', n % 9, 'street', 'preflop', 'act', 'raise', 'amount', n % 977, 'ms', pg_temp.pick(n, 11, 60000)),
           jsonb_build_object('seat', (n + 1) % 9, 'street', 'flop', 'act', 'call', 'amount', n % 977, 'ms', pg_temp.pick(n, 12, 60000)),
           jsonb_build_object('seat', n % 9, 'street', 'river', 'act', 'check', 'said', cards)),
       sha256(convert_to('deck' || n, 'UTF8')) || sha256(convert_to('seal' || n, 'UTF8')),
       g.started_at + j * interval '2 min 3.141593 s', g.inserted_at
FROM games g, generate_series(1, 90) j, LATERAL (SELECT g.id * 90 + j AS n, md5((g.id * 90 + j)::text) AS cards) n;

INSERT INTO events (game_id, player_id, kind, amount, payload, inserted_at)
SELECT g.id, 1 + pg_temp.pick(n, 13, 20 * :scale),
       (ARRAY['sit', 'leave', 'bet', 'bet', 'bet', 'fold', 'win', 'chat'])[1 + n % 8],
       CASE WHEN n % 8 IN (2, 3, 4, 6) THEN pg_temp.pick(n, 14, 100000) END,
       CASE n % 8 WHEN 7 THEN jsonb_build_object('text', 'well played, seat ' || n % 9) WHEN 2 THEN '{"all_in": false}' END,
       g.inserted_at + j * interval '21.7 s'
FROM games g, generate_series(1, 600) j, LATERAL (SELECT g.id * 600 + j AS n) n;

-- Large objects: contracts of the players, the first of them of more than a megabyte, the second empty.
INSERT INTO documents (player_id, title, content, inserted_at)
SELECT i, 'Contract ' || i,
       lo_from_bytea(0, CASE i WHEN 2 THEN '' ELSE
           (SELECT string_agg(sha256(convert_to(i || ':' || j, 'UTF8')), '')
            FROM generate_series(1, CASE i WHEN 1 THEN 40000 ELSE 100 + i % 300 END) j) END),
       timestamp '2023-02-01' + i * interval '1 h'
FROM generate_series(1, 3 * :scale) i;
DO $$
DECLARE d documents;
BEGIN
    FOR d IN SELECT * FROM documents ORDER BY id LOOP
        IF d.id <= 5 THEN
            EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', d.content, d.title || '; it''s signed');
        END IF;
        IF d.id % 2 = 0 THEN
            EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO banker_app', d.content);
        END IF;
    END LOOP;
END $$;

COMMIT;

REFRESH MATERIALIZED VIEW game_totals;
RESET ROLE;
ANALYZE;
