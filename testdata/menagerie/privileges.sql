-- Privileges on every kind of object: with grant option, to columns, through another grantor, taken from PUBLIC and from the owner.

GRANT USAGE ON SCHEMA zoo TO PUBLIC;
GRANT USAGE, CREATE ON SCHEMA "Żółw; ""the"" turtle" TO menagerie_vet;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO "Menagerie ""Visitor""; ünï";

GRANT SELECT ON zoo.animals TO "Menagerie ""Visitor""; ünï" WITH GRANT OPTION;
GRANT SELECT, INSERT (name, species), UPDATE (mood) ON zoo.animals TO menagerie_vet;
SET SESSION AUTHORIZATION "Menagerie ""Visitor""; ünï";
GRANT SELECT ON zoo.animals TO menagerie_vet;
RESET SESSION AUTHORIZATION;
GRANT SELECT ("UPPER", " ") ON "Żółw; ""the"" turtle"."Table; ""x""
DROP TABLE y; -- 雀 $$ \ '" TO PUBLIC;
GRANT ALL ON zoo.keepers TO menagerie_keeper;
REVOKE TRUNCATE, TRIGGER, REFERENCES ON zoo.keepers FROM menagerie_keeper;
REVOKE ALL ON zoo.secrets FROM menagerie_keeper;
GRANT SELECT ON zoo.by_species, zoo.calm_animals, zoo.far TO PUBLIC;
GRANT USAGE ON SEQUENCE zoo.called TO PUBLIC;
GRANT SELECT, UPDATE ON SEQUENCE zoo.down TO menagerie_vet WITH GRANT OPTION;
\if :v17
GRANT MAINTAIN ON zoo.animals TO menagerie_vet;
\endif

REVOKE EXECUTE ON FUNCTION zoo.feed(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION zoo.feed(text, int) TO menagerie_vet;
GRANT EXECUTE ON PROCEDURE zoo.clean(int, text) TO menagerie_vet WITH GRANT OPTION;
REVOKE ALL ON FUNCTION zoo.forty FROM PUBLIC;
REVOKE USAGE ON TYPE zoo.mood, zoo.cage FROM PUBLIC;
GRANT USAGE ON TYPE zoo.mood TO menagerie_vet;
REVOKE USAGE ON DOMAIN zoo.weight FROM PUBLIC;
REVOKE USAGE ON LANGUAGE plzoo FROM PUBLIC;
GRANT USAGE ON LANGUAGE plzoo TO menagerie_vet;
GRANT USAGE ON FOREIGN DATA WRAPPER zoo_wrapper TO menagerie_vet WITH GRANT OPTION;
GRANT USAGE ON FOREIGN SERVER "Server; ""x""" TO menagerie_vet;
-- On what came with an extension, and with PostgreSQL.
REVOKE EXECUTE ON FUNCTION "With a space".hstore(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION "With a space".hstore(text, text) TO menagerie_keeper;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_waldir() TO menagerie_vet;
GRANT SELECT (rolname, rolpassword) ON pg_catalog.pg_authid TO menagerie_vet;

ALTER DEFAULT PRIVILEGES FOR ROLE menagerie_keeper GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE menagerie_keeper IN SCHEMA zoo GRANT INSERT ON TABLES TO "Menagerie ""Visitor""; ünï" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE menagerie_keeper REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE menagerie_vet IN SCHEMA "UPPER" GRANT USAGE ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE menagerie_vet REVOKE USAGE ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO menagerie_vet;
