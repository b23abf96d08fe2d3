-- The sample database "banker": what an Ecto application keeps for a round of poker players who settle their
-- buy-ins and cash-outs among themselves. Run it in an empty database as a superuser, then generate.sql.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

-- Roles belong to the whole cluster, and may be there already.
DO $$
BEGIN
    CREATE ROLE banker_owner NOLOGIN;
    CREATE ROLE banker_read NOLOGIN;
    CREATE ROLE banker_app LOGIN PASSWORD 'river-card-42' CONNECTION LIMIT 40;
    ALTER ROLE banker_app SET statement_timeout = '30s';
    GRANT banker_read TO banker_app;
    COMMENT ON ROLE banker_app IS 'the web application''s own login';
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;

ALTER DATABASE :"DBNAME" OWNER TO banker_owner;
ALTER DATABASE :"DBNAME" SET timezone = 'Europe/Zurich';
ALTER DATABASE :"DBNAME" SET default_statistics_target = 200;
ALTER ROLE banker_app IN DATABASE :"DBNAME" SET work_mem = '16MB';
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO banker_read;
COMMENT ON DATABASE :"DBNAME" IS 'poker bank; the books of every game since 2023';

CREATE EXTENSION citext;
CREATE EXTENSION pg_trgm;
-- Before PostgreSQL 15 everybody may create in public; from 15 on its owner is the database's.
GRANT USAGE, CREATE ON SCHEMA public TO banker_owner;

SET ROLE banker_owner;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO banker_read;
ALTER DEFAULT PRIVILEGES GRANT SELECT, USAGE ON SEQUENCES TO banker_app;

CREATE TYPE player_status AS ENUM ('invited', 'active', 'barred');
CREATE TYPE game_variant AS ENUM ('holdem', 'omaha', 'stud', 'dealers_choice');
CREATE TYPE payment_method AS ENUM ('cash', 'transfer', 'credit');
CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
CREATE TYPE blinds AS (small integer, big integer);

CREATE TABLE schema_migrations (
    version bigint PRIMARY KEY,
    inserted_at timestamp(0)
);

CREATE TABLE players (
    id bigserial PRIMARY KEY,
    handle citext NOT NULL,
    email citext,
    display_name varchar(255) NOT NULL,
    status player_status NOT NULL DEFAULT 'invited',
    tags text[] NOT NULL DEFAULT '{}',
    settings jsonb NOT NULL DEFAULT '{}',
    avatar bytea,
    inserted_at timestamp(0) NOT NULL,
    updated_at timestamp(0) NOT NULL
);
CREATE UNIQUE INDEX players_handle_index ON players (handle);
CREATE UNIQUE INDEX players_email_index ON players (email) WHERE email IS NOT NULL;
CREATE INDEX players_tags_index ON players USING gin (tags);
CREATE INDEX players_display_name_trgm_index ON players USING gin (display_name gin_trgm_ops);
COMMENT ON TABLE players IS 'everybody who ever sat down';
COMMENT ON COLUMN players.handle IS 'unique whatever the case';

CREATE TABLE games (
    id bigserial PRIMARY KEY,
    host_id bigint NOT NULL CONSTRAINT games_host_id_fkey REFERENCES players (id),
    title varchar(255) NOT NULL,
    variant game_variant NOT NULL DEFAULT 'holdem',
    stakes blinds,
    invite uuid NOT NULL DEFAULT gen_random_uuid(),
    rake numeric(6, 3) NOT NULL DEFAULT 0,
    metadata jsonb NOT NULL DEFAULT '{}',
    started_at timestamp(0) with time zone NOT NULL,
    ended_at timestamp(0) with time zone,
    hours numeric GENERATED ALWAYS AS (round((extract(epoch FROM ended_at - started_at) / 3600)::numeric, 2)) STORED,
    inserted_at timestamp(0) NOT NULL,
    updated_at timestamp(0) NOT NULL,
    CONSTRAINT ends_after_start CHECK (ended_at > started_at)
);
CREATE UNIQUE INDEX games_invite_index ON games (invite);
CREATE INDEX games_host_id_index ON games (host_id);
CREATE INDEX games_metadata_index ON games USING gin (metadata jsonb_path_ops);
CREATE INDEX games_open_index ON games (started_at DESC) WHERE ended_at IS NULL;

CREATE TABLE buy_ins (
    id bigserial PRIMARY KEY,
    game_id bigint NOT NULL CONSTRAINT buy_ins_game_id_fkey REFERENCES games (id) ON DELETE CASCADE,
    player_id bigint NOT NULL CONSTRAINT buy_ins_player_id_fkey REFERENCES players (id),
    amount cents NOT NULL,
    method payment_method NOT NULL,
    note text,
    inserted_at timestamp(0) NOT NULL,
    updated_at timestamp(0) NOT NULL
);
CREATE INDEX buy_ins_game_id_player_id_index ON buy_ins (game_id, player_id);

CREATE TABLE cash_outs (
    id bigserial PRIMARY KEY,
    game_id bigint NOT NULL CONSTRAINT cash_outs_game_id_fkey REFERENCES games (id) ON DELETE CASCADE,
    player_id bigint NOT NULL CONSTRAINT cash_outs_player_id_fkey REFERENCES players (id),
    amount cents NOT NULL,
    method payment_method NOT NULL,
    settled_with bigint[] NOT NULL DEFAULT '{}',
    inserted_at timestamp(0) NOT NULL,
    updated_at timestamp(0) NOT NULL
);
CREATE INDEX cash_outs_game_id_player_id_index ON cash_outs (game_id, player_id);

CREATE TABLE hands (
    id bigserial PRIMARY KEY,
    game_id bigint NOT NULL CONSTRAINT hands_game_id_fkey REFERENCES games (id) ON DELETE CASCADE,
    number integer NOT NULL,
    board char(2)[] NOT NULL,
    pot cents NOT NULL,
    actions jsonb NOT NULL,
    deck bytea NOT NULL,
    played_at timestamp with time zone NOT NULL,
    inserted_at timestamp(0) NOT NULL,
    CONSTRAINT hands_game_id_number_key UNIQUE (game_id, number)
);
COMMENT ON COLUMN hands.deck IS 'seal over the shuffled deck, for disputes';

CREATE TABLE events (
    id bigserial,
    game_id bigint NOT NULL CONSTRAINT events_game_id_fkey REFERENCES games (id) ON DELETE CASCADE,
    player_id bigint,
    kind text NOT NULL,
    amount bigint,
    payload jsonb,
    inserted_at timestamp NOT NULL,
    PRIMARY KEY (id, inserted_at)
) PARTITION BY RANGE (inserted_at);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_later PARTITION OF events DEFAULT;
CREATE INDEX events_game_id_index ON events (game_id);
CREATE INDEX events_inserted_at_index ON events USING brin (inserted_at);

CREATE TABLE documents (
    id bigserial PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT documents_player_id_fkey REFERENCES players (id),
    title text NOT NULL,
    content oid NOT NULL,
    inserted_at timestamp(0) NOT NULL
);
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_documents ON documents FOR SELECT TO banker_app
    USING (player_id = nullif(current_setting('banker.player_id', true), '')::bigint);

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER players_touch BEFORE UPDATE ON players FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER games_touch BEFORE UPDATE ON games FOR EACH ROW
    WHEN (OLD.metadata IS DISTINCT FROM NEW.metadata) EXECUTE FUNCTION touch_updated_at();

CREATE FUNCTION balance(player bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT sum(amount) FROM public.cash_outs WHERE player_id = player), 0)::bigint
         - coalesce((SELECT sum(amount) FROM public.buy_ins WHERE player_id = player), 0)::bigint
$$;
COMMENT ON FUNCTION balance(bigint) IS 'what the bank owes the player, in cents';

CREATE VIEW standings AS
    SELECT p.id, p.handle, coalesce(i.total, 0) AS paid_in, coalesce(o.total, 0) AS paid_out
    FROM players p
    LEFT JOIN (SELECT player_id, sum(amount) AS total FROM buy_ins GROUP BY 1) i ON i.player_id = p.id
    LEFT JOIN (SELECT player_id, sum(amount) AS total FROM cash_outs GROUP BY 1) o ON o.player_id = p.id;

CREATE MATERIALIZED VIEW game_totals AS
    SELECT g.id AS game_id, g.variant, count(h.id) AS hands, coalesce(sum(h.pot), 0) AS pots
    FROM games g LEFT JOIN hands h ON h.game_id = g.id
    GROUP BY g.id, g.variant
    WITH NO DATA;
CREATE UNIQUE INDEX game_totals_game_id_index ON game_totals (game_id);

GRANT INSERT, UPDATE, DELETE ON players, games, buy_ins, cash_outs, hands, events TO banker_app;
GRANT SELECT (id, title) ON documents TO banker_read;
RESET ROLE;
