-- Functions, procedures, aggregates, a language, a transform.

CREATE FUNCTION zoo.is_edible(what text, VARIADIC eaten text[] DEFAULT ARRAY['hay', 'it''s meat']) RETURNS boolean
    LANGUAGE sql IMMUTABLE LEAKPROOF PARALLEL SAFE COST 7 AS $$ SELECT what = ANY (eaten) $$;
CREATE FUNCTION zoo.feed(IN animal text, INOUT portions int DEFAULT 1, OUT "Total; g" numeric)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '4MB' AS $_$
BEGIN
    -- a body with $$ dollars $$, 'quotes', "quotes" and a back\slash
    portions := portions + length($1);
    "Total; g" := portions * 12.5;
END $_$;
CREATE FUNCTION zoo.feed(animal bigint) RETURNS SETOF text LANGUAGE sql ROWS 3 AS 'SELECT ''no. '' || animal FROM generate_series(1, 3)';
CREATE FUNCTION zoo."Inventory; (all)"(n int) RETURNS TABLE ("Name" text, "count" bigint) LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT 'x'::text, n::bigint;
END $$;
CREATE FUNCTION zoo.rank_of() RETURNS bigint LANGUAGE internal WINDOW AS 'window_rank';
CREATE FUNCTION zoo.double(a int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT a * 2';
CREATE FUNCTION zoo.shout(a text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT upper(a) || ''!''';
CREATE FUNCTION zoo.forty(a1 int, a2 int, a3 int, a4 int, a5 int, a6 int, a7 int, a8 int, a9 int, a10 int,
    b1 text, b2 text, b3 text, b4 text, b5 text, b6 text, b7 text, b8 text, b9 text, b10 text,
    c1 zoo.mood, c2 zoo.mood, c3 zoo.mood, c4 zoo.mood, c5 zoo.mood, c6 zoo.mood, c7 zoo.mood, c8 zoo.mood, c9 zoo.mood, c10 zoo.mood,
    d1 int[], d2 int[], d3 int[], d4 int[], d5 int[], d6 int[], d7 int[], d8 int[], d9 int[], d10 int[])
    RETURNS int LANGUAGE sql AS 'SELECT 40';
CREATE PROCEDURE zoo.clean(INOUT cages int, note text DEFAULT NULL) LANGUAGE plpgsql AS $$
BEGIN
    cages := coalesce(cages, 0) + 1;
    COMMIT;
END $$;
COMMENT ON FUNCTION zoo.feed(text, int) IS 'two of that name';
COMMENT ON PROCEDURE zoo.clean(int, text) IS 'commits';
ALTER FUNCTION zoo.feed(text, int) OWNER TO menagerie_keeper;

CREATE AGGREGATE zoo.total_weight(numeric) (sfunc = numeric_add, stype = numeric, initcond = '0', combinefunc = numeric_add, parallel = safe);
CREATE AGGREGATE zoo.middle(float8 ORDER BY float8) (sfunc = ordered_set_transition, stype = internal,
    finalfunc = percentile_disc_final, finalfunc_extra);
COMMENT ON AGGREGATE zoo.total_weight(numeric) IS 'of the whole cage';

CREATE FUNCTION zoo.plzoo_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION zoo.plzoo_inline(internal) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION zoo.plzoo_validator(oid) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE plzoo HANDLER zoo.plzoo_handler INLINE zoo.plzoo_inline VALIDATOR zoo.plzoo_validator;
COMMENT ON LANGUAGE plzoo IS 'plpgsql by another name';
CREATE FUNCTION zoo.in_plzoo(a int) RETURNS int LANGUAGE plzoo AS 'BEGIN RETURN a + 1; END';

CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));
COMMENT ON TRANSFORM FOR int LANGUAGE sql IS 'never used';
