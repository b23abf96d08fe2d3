-- Views and materialized views, on each other and on keys.

CREATE VIEW zoo.calm_animals WITH (security_barrier = true) AS SELECT * FROM zoo.animals WHERE mood = 'calm' WITH LOCAL CHECK OPTION;
CREATE VIEW zoo."View; ""of"" views" ("Id", name) AS SELECT id, name || ';' FROM zoo.calm_animals;
CREATE RECURSIVE VIEW zoo.ranks (id, depth) AS
    SELECT id, 0 FROM zoo.keepers WHERE boss IS NULL UNION ALL SELECT k.id, r.depth + 1 FROM zoo.keepers k JOIN ranks r ON r.id = k.boss;
ALTER VIEW zoo.calm_animals ALTER COLUMN name SET DEFAULT 'viewed';
COMMENT ON VIEW zoo.calm_animals IS 'a view';
COMMENT ON COLUMN zoo.calm_animals.name IS 'of a view';
ALTER VIEW zoo.calm_animals OWNER TO menagerie_keeper;
-- Its grouping leans on the primary key, so it cannot be made before the key.
CREATE VIEW zoo.per_keeper AS SELECT k.id, k.name, count(a.id) AS animals FROM zoo.keepers k LEFT JOIN zoo.animals a ON a.keeper_id = k.id GROUP BY k.id;
\if :v15
CREATE VIEW zoo.invoker WITH (security_invoker = true) AS SELECT id FROM zoo.animals;
\endif

CREATE MATERIALIZED VIEW zoo.by_species AS SELECT species, mood, count(*) AS n FROM zoo.animals GROUP BY 1, 2;
CREATE UNIQUE INDEX by_species_key ON zoo.by_species (species, mood);
ALTER MATERIALIZED VIEW zoo.by_species CLUSTER ON by_species_key;
ALTER MATERIALIZED VIEW zoo.by_species ALTER n SET STATISTICS 33;
CREATE MATERIALIZED VIEW zoo.a_top AS SELECT max(n) AS top FROM zoo.by_species;
CREATE MATERIALIZED VIEW zoo."A; ""third""" WITH (fillfactor = 50) AS SELECT top + 1 AS next FROM zoo.a_top, zoo.per_keeper LIMIT 1;
CREATE MATERIALIZED VIEW zoo.on_view AS SELECT * FROM zoo.per_keeper;
CREATE MATERIALIZED VIEW zoo.on_key AS SELECT k.id, k.name, k.boss FROM zoo.keepers k GROUP BY k.id;
CREATE MATERIALIZED VIEW zoo.never_filled AS SELECT id FROM zoo.animals WITH NO DATA;
CREATE INDEX never_filled_id ON zoo.never_filled (id);
CREATE MATERIALIZED VIEW zoo.on_heap2 USING heap2 AS SELECT 1 AS one, 'x'::text AS x;
CREATE MATERIALIZED VIEW zoo.stale AS SELECT count(*) AS n FROM zoo.bookings;
ALTER MATERIALIZED VIEW zoo.by_species OWNER TO menagerie_keeper;
COMMENT ON MATERIALIZED VIEW zoo.by_species IS 'materialized';

\if :v14
-- Functions with a parsed body: one leans on a key, so that a dump must put it after the key.
CREATE FUNCTION zoo.parsed(n int) RETURNS bigint STABLE BEGIN ATOMIC SELECT count(*) FROM zoo.animals WHERE id < n; END;
CREATE FUNCTION zoo.postponed() RETURNS SETOF text BEGIN ATOMIC SELECT name FROM zoo.keepers GROUP BY id; END;
CREATE PROCEDURE zoo.parsed_too(INOUT n int) BEGIN ATOMIC SELECT n + 1; SELECT n + 2; END;
\endif
