-- Indexes of every method and option.

CREATE INDEX animals_lower ON zoo.animals (lower(name) text_pattern_ops, (weight * 2) DESC NULLS LAST) WHERE mood = 'calm';
ALTER INDEX zoo.animals_lower ALTER COLUMN 2 SET STATISTICS 500;
CREATE INDEX animals_swedish ON zoo.animals (name COLLATE zoo.swedish) INCLUDE (born) WITH (fillfactor = 60, deduplicate_items = off);
CREATE INDEX animals_trgm ON zoo.animals USING gist (name zoo.gist_trgm_ops (siglen = 32));
CREATE INDEX animals_about ON zoo.animals USING gin (about) WITH (fastupdate = off);
CREATE INDEX animals_pairs ON zoo.animals USING gin (pairs "With a space".gin_hstore_ops);
CREATE INDEX animals_mood ON zoo.animals USING hash (mood);
CREATE INDEX animals_span ON zoo.animals USING gist (span);
CREATE INDEX animals_born ON zoo.animals USING brin (born) WITH (pages_per_range = 4, autosummarize = on);
CREATE INDEX animals_double ON zoo.animals (zoo.double(id::int));
CREATE UNIQUE INDEX animals_upper ON zoo.animals (upper(name));
CREATE INDEX keepers_backwards ON zoo.keepers (id zoo.backwards_int4);
CREATE INDEX stored_spgist ON zoo.stored USING spgist (c);
COMMENT ON INDEX zoo.animals_lower IS 'partial; of expressions';

-- An index whose definition takes six kilobytes.
SELECT 'CREATE INDEX long_definition ON zoo.animals (name) WHERE name NOT IN (' || string_agg(quote_literal('no such animal ' || i), ', ') || ')'
FROM generate_series(1, 250) i
\gexec
