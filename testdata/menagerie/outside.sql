-- What reaches beyond the database: foreign data, publications, subscriptions. Nothing here connects to anything.

CREATE FOREIGN DATA WRAPPER zoo_wrapper OPTIONS (debug 'it''s; "on"');
COMMENT ON FOREIGN DATA WRAPPER zoo_wrapper IS 'no handler';
CREATE SERVER "Server; ""x""" TYPE 'zoo' VERSION '1;0' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'it''s');
CREATE USER MAPPING FOR menagerie_vet SERVER "Server; ""x""" OPTIONS (user 'vet', password 'pa''ss; "word"');
CREATE USER MAPPING FOR PUBLIC SERVER "Server; ""x""" OPTIONS (user 'anybody');
ALTER SERVER "Server; ""x""" OWNER TO menagerie_keeper;
COMMENT ON SERVER "Server; ""x""" IS 'nowhere';
CREATE FOREIGN TABLE zoo.far (id int OPTIONS (column_name 'ID; "x"') NOT NULL, name text DEFAULT 'far', CONSTRAINT near CHECK (id > 0))
    SERVER "Server; ""x""" OPTIONS (schema_name 's', table_name 't;"');
COMMENT ON FOREIGN TABLE zoo.far IS 'foreign';
COMMENT ON COLUMN zoo.far.name IS 'of a foreign table';
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE zoo.null_device (line text) SERVER files OPTIONS (filename '/dev/null');

CREATE PUBLICATION zoo_some FOR TABLE zoo.animals, zoo.keepers, zoo.visits WITH (publish = 'insert, update', publish_via_partition_root = true);
CREATE PUBLICATION "zoo; ""all""" FOR ALL TABLES;
CREATE PUBLICATION zoo_none;
ALTER PUBLICATION zoo_some OWNER TO menagerie_keeper;
COMMENT ON PUBLICATION zoo_some IS 'some tables';
\if :v15
CREATE PUBLICATION zoo_filtered FOR TABLE zoo.animals (id, name) WHERE (id > 10 AND name <> 'it''s; "x"');
CREATE PUBLICATION zoo_schema FOR TABLES IN SCHEMA "UPPER", TABLE zoo.texts;
\endif
\if :v18
CREATE PUBLICATION zoo_generated FOR TABLE zoo.animals WITH (publish_generated_columns = stored);
\endif
CREATE SUBSCRIPTION "zoo; sub" CONNECTION 'host=127.0.0.1 port=1 dbname=none password=hush' PUBLICATION "a; pub", other
    WITH (connect = false, slot_name = NONE, enabled = false, synchronous_commit = 'local');
COMMENT ON SUBSCRIPTION "zoo; sub" IS 'a subscription';
