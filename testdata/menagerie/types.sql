-- Types of every kind, collations, text search.

CREATE TYPE zoo.mood AS ENUM ('calm', 'hungry', 'it''s "angry"; ☃');
ALTER TYPE zoo.mood ADD VALUE 'sleepy' BEFORE 'hungry';
ALTER TYPE zoo.mood ADD VALUE 'gone';
ALTER TYPE zoo.mood RENAME VALUE 'gone' TO 'escaped';
COMMENT ON TYPE zoo.mood IS 'values were added out of order';

CREATE COLLATION zoo.posix (provider = libc, locale = 'C.UTF-8');
CREATE COLLATION zoo.swedish (provider = icu, locale = 'sv-u-co-standard');
CREATE COLLATION zoo.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
COMMENT ON COLLATION zoo.blind IS 'sees no case';

CREATE TYPE zoo.cage AS (width numeric(6, 2), "Height; m" real, label text COLLATE "C", moods zoo.mood[]);
COMMENT ON COLUMN zoo.cage."Height; m" IS 'metres';
CREATE DOMAIN zoo.weight AS numeric(12, 3) DEFAULT 1 CONSTRAINT positive CHECK (VALUE > 0);
CREATE DOMAIN zoo.baby_weight AS zoo.weight NOT NULL CHECK (VALUE < 100);
CREATE DOMAIN zoo.tag AS text COLLATE "C" CHECK (VALUE !~ '\s');
ALTER DOMAIN zoo.tag ADD CONSTRAINT not_empty CHECK (VALUE <> '') NOT VALID;
CREATE DOMAIN zoo.tags AS zoo.tag[] CHECK (cardinality(VALUE) < 10);
COMMENT ON DOMAIN zoo.weight IS 'kilograms';
COMMENT ON CONSTRAINT positive ON DOMAIN zoo.weight IS 'nothing floats';

CREATE FUNCTION zoo.float8_distance(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 - $2';
\if :v14
CREATE TYPE zoo.span AS RANGE (subtype = float8, subtype_diff = zoo.float8_distance, multirange_type_name = zoo.spans);
\else
CREATE TYPE zoo.span AS RANGE (subtype = float8, subtype_diff = zoo.float8_distance);
\endif
CREATE TYPE zoo.name_range AS RANGE (subtype = text, collation = "C");

-- A base type, which begins as a shell, and a shell that stays one.
CREATE TYPE zoo.paw;
CREATE FUNCTION zoo.paw_in(cstring) RETURNS zoo.paw LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION zoo.paw_out(zoo.paw) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE zoo.paw (input = zoo.paw_in, output = zoo.paw_out, internallength = 4, passedbyvalue, alignment = int4,
    category = 'N', default = '4', delimiter = ';');
CREATE TYPE zoo.unborn;

CREATE TEXT SEARCH PARSER zoo.zoo_parser (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype, headline = prsd_headline);
CREATE TEXT SEARCH TEMPLATE zoo.zoo_template (lexize = dsimple_lexize, init = dsimple_init);
CREATE TEXT SEARCH DICTIONARY zoo.zoo_dictionary (template = zoo.zoo_template, accept = false);
CREATE TEXT SEARCH CONFIGURATION zoo."Zoo config" (parser = zoo.zoo_parser);
ALTER TEXT SEARCH CONFIGURATION zoo."Zoo config" ADD MAPPING FOR word, asciiword WITH zoo.zoo_dictionary, simple;
ALTER TEXT SEARCH CONFIGURATION zoo."Zoo config" OWNER TO menagerie_keeper;
COMMENT ON TEXT SEARCH PARSER zoo.zoo_parser IS 'the default one';
COMMENT ON TEXT SEARCH TEMPLATE zoo.zoo_template IS 'the simple one';
COMMENT ON TEXT SEARCH DICTIONARY zoo.zoo_dictionary IS 'knows nothing';
COMMENT ON TEXT SEARCH CONFIGURATION zoo."Zoo config" IS 'words only';

-- Storage and index access methods, handled by PostgreSQL's own code.
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE ACCESS METHOD btree2 TYPE INDEX HANDLER bthandler;
COMMENT ON ACCESS METHOD heap2 IS 'heap by another name';
