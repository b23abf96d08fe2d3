-- Operators and their classes and families, casts, a conversion.

CREATE FUNCTION zoo.same_mood(zoo.mood, zoo.mood) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text = $2::text';
CREATE FUNCTION zoo.other_mood(zoo.mood, zoo.mood) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::text <> $2::text';
CREATE OPERATOR zoo.=== (function = zoo.same_mood, leftarg = zoo.mood, rightarg = zoo.mood,
    commutator = OPERATOR(zoo.===), negator = OPERATOR(zoo.!==), restrict = eqsel, join = eqjoinsel, hashes, merges);
CREATE OPERATOR zoo.!== (function = zoo.other_mood, leftarg = zoo.mood, rightarg = zoo.mood,
    commutator = OPERATOR(zoo.!==), negator = OPERATOR(zoo.===));
CREATE OPERATOR zoo.!! (function = zoo.shout, rightarg = text);
COMMENT ON OPERATOR zoo.!! (NONE, text) IS 'prefix';

CREATE FUNCTION zoo.backwards_cmp(int4, int4) RETURNS int4 LANGUAGE sql IMMUTABLE STRICT AS 'SELECT btint4cmp($2, $1)';
CREATE FUNCTION zoo.backwards_cmp(int4, int8) RETURNS int4 LANGUAGE sql IMMUTABLE STRICT AS 'SELECT btint84cmp($2, $1)';
CREATE OPERATOR FAMILY zoo.backwards USING btree;
CREATE OPERATOR CLASS zoo.backwards_int4 FOR TYPE int4 USING btree FAMILY zoo.backwards AS
    OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 zoo.backwards_cmp(int4, int4);
ALTER OPERATOR FAMILY zoo.backwards USING btree ADD
    OPERATOR 1 > (int4, int8), OPERATOR 2 >= (int4, int8), OPERATOR 3 = (int4, int8),
    OPERATOR 4 <= (int4, int8), OPERATOR 5 < (int4, int8), FUNCTION 1 (int4, int8) zoo.backwards_cmp(int4, int8);
CREATE OPERATOR CLASS zoo.int4_btree2 DEFAULT FOR TYPE int4 USING btree2 AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int4, int4);
COMMENT ON OPERATOR FAMILY zoo.backwards USING btree IS 'largest first';
COMMENT ON OPERATOR CLASS zoo.backwards_int4 USING btree IS 'of int4';

CREATE FUNCTION zoo.to_weight(zoo.cage) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT $1.width::float8';
CREATE CAST (zoo.cage AS float8) WITH FUNCTION zoo.to_weight(zoo.cage) AS ASSIGNMENT;
CREATE CAST (zoo.paw AS int4) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (zoo.mood AS varchar) WITH INOUT;
COMMENT ON CAST (zoo.cage AS float8) IS 'its width';

CREATE CONVERSION zoo.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
COMMENT ON CONVERSION zoo.latin IS 'as everywhere';
