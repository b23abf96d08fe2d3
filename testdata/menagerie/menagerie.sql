-- The menagerie: one of everything that a single database can hold, for the tests of what a copy keeps.
-- Run it with psql, as a superuser, in an empty UTF8 database of PostgreSQL 13 to 18. Newer versions get more.
--
-- The stock tools restore it without an error from any of these versions to the same or a newer one,
-- except what they cannot know: pg_dump does not carry roles, nor the settings of the database without --create.
--
-- Left out on purpose:
--   * security labels, which need a label provider loaded into the server;
--   * tablespaces, which need a folder on the server;
--   * functions that rely on search_path within indexes, generated columns and materialized views,
--     which no restore of pg_dump's script survives;
--   * an invalid index, which pg_dump leaves out.

\set ON_ERROR_STOP on
SET client_min_messages = error;
SET check_function_bodies = on;
SELECT current_setting('server_version_num')::int >= 140000 AS v14,
       current_setting('server_version_num')::int >= 150000 AS v15,
       current_setting('server_version_num')::int >= 160000 AS v16,
       current_setting('server_version_num')::int >= 170000 AS v17,
       current_setting('server_version_num')::int >= 180000 AS v18,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgberth_test') AS has_test_extension
\gset

\ir database.sql
\ir types.sql
\ir functions.sql
\ir operators.sql
\ir tables.sql
\ir indexes.sql
\ir partitions.sql
\ir inheritance.sql
\ir values.sql
\ir sequences.sql
\ir views.sql
\ir triggers.sql
\ir policies.sql
\ir large_objects.sql
\ir outside.sql
\ir privileges.sql

ANALYZE;
