-- Roles, the database's own properties, schemas and extensions.

DO $$
BEGIN
    CREATE ROLE menagerie_keeper NOLOGIN;
    CREATE ROLE "Menagerie ""Visitor""; ünï" NOLOGIN;
    CREATE ROLE menagerie_vet LOGIN PASSWORD 'needle''s eye' VALID UNTIL '2099-01-01' CONNECTION LIMIT 3 NOINHERIT BYPASSRLS;
    ALTER ROLE menagerie_vet SET search_path = zoo, "$user", public;
    GRANT "Menagerie ""Visitor""; ünï" TO menagerie_keeper WITH ADMIN OPTION;
    GRANT menagerie_keeper TO menagerie_vet;
    COMMENT ON ROLE "Menagerie ""Visitor""; ünï" IS 'may look; may not feed';
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;

ALTER DATABASE :"DBNAME" OWNER TO menagerie_keeper;
ALTER DATABASE :"DBNAME" CONNECTION LIMIT 57;
COMMENT ON DATABASE :"DBNAME" IS E'one of everything;\nit''s "tested"';
GRANT CONNECT ON DATABASE :"DBNAME" TO "Menagerie ""Visitor""; ünï" WITH GRANT OPTION;
REVOKE TEMPORARY ON DATABASE :"DBNAME" FROM PUBLIC;

-- Settings that spoil a copy whose sessions do not choose their own.
ALTER DATABASE :"DBNAME" SET search_path = zoo, "Żółw; ""the"" turtle", public;
ALTER DATABASE :"DBNAME" SET datestyle = 'SQL, DMY';
ALTER DATABASE :"DBNAME" SET intervalstyle = 'sql_standard';
ALTER DATABASE :"DBNAME" SET bytea_output = 'escape';
ALTER DATABASE :"DBNAME" SET extra_float_digits = -3;
ALTER DATABASE :"DBNAME" SET timezone = 'Asia/Kathmandu';
ALTER DATABASE :"DBNAME" SET xmloption = 'document';
ALTER DATABASE :"DBNAME" SET lock_timeout = '20s';
ALTER DATABASE :"DBNAME" SET zoo.motto = E'don''t "feed" the \\ lions; ';
ALTER ROLE menagerie_vet IN DATABASE :"DBNAME" SET work_mem = '7MB';
ALTER ROLE "Menagerie ""Visitor""; ünï" IN DATABASE :"DBNAME" SET default_transaction_read_only = on;

CREATE SCHEMA zoo AUTHORIZATION menagerie_keeper;
CREATE SCHEMA "Żółw; ""the"" turtle";
CREATE SCHEMA "With a space";
CREATE SCHEMA "new
line";
CREATE SCHEMA "UPPER";
CREATE SCHEMA empty_schema;
COMMENT ON SCHEMA zoo IS 'the main house';
COMMENT ON SCHEMA "new
line" IS E'its name\nis two lines';
COMMENT ON SCHEMA public IS 'not the standard comment';

CREATE EXTENSION hstore SCHEMA "With a space";
CREATE EXTENSION btree_gist SCHEMA "With a space";
CREATE EXTENSION citext SCHEMA public;
CREATE EXTENSION pg_trgm SCHEMA zoo;
CREATE EXTENSION ltree SCHEMA public VERSION '1.1';
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION file_fdw;
COMMENT ON EXTENSION hstore IS 'pairs; with a comment of our own';
\if :has_test_extension
CREATE EXTENSION pgberth_test SCHEMA "UPPER" VERSION '1.0';
ALTER EXTENSION pgberth_test UPDATE TO '1.1';
INSERT INTO "UPPER".pgberth_setting (name, value) VALUES ('a', 'one'), ('b;"', NULL), ('c', '');
INSERT INTO "UPPER".pgberth_unit VALUES ('li', 500), ('seer', 0.933);
\endif

SET search_path = zoo, public;
