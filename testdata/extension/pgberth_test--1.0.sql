\echo Use "CREATE EXTENSION pgberth_test" to load this file. \quit

-- A table whose every row is the user's, with the sequence behind its key.
CREATE TABLE pgberth_setting (
    id serial PRIMARY KEY,
    name text NOT NULL UNIQUE,
    value text
);
SELECT pg_catalog.pg_extension_config_dump('pgberth_setting', '');
SELECT pg_catalog.pg_extension_config_dump('pgberth_setting_id_seq', '');

-- A table of which only some rows are the user's: the others come with CREATE EXTENSION.
CREATE TABLE pgberth_unit (
    code text PRIMARY KEY,
    factor numeric NOT NULL,
    builtin boolean NOT NULL DEFAULT false
);
INSERT INTO pgberth_unit VALUES ('m', 1, true), ('km', 1000, true);
SELECT pg_catalog.pg_extension_config_dump('pgberth_unit', 'WHERE NOT builtin');

-- A table that is the extension's own and never dumped.
CREATE TABLE pgberth_version (version text NOT NULL);
INSERT INTO pgberth_version VALUES ('1.0');
