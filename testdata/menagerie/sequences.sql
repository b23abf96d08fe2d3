-- Sequences: their kinds and where they stand.

CREATE SEQUENCE zoo.fresh;
CREATE SEQUENCE zoo.called START 5;
SELECT nextval('zoo.called') FROM generate_series(1, 3) \g /dev/null
CREATE SEQUENCE zoo.set_not_called;
SELECT setval('zoo.set_not_called', 42, false) \g /dev/null
CREATE SEQUENCE zoo.set_called;
SELECT setval('zoo.set_called', 42, true) \g /dev/null
CREATE SEQUENCE zoo.small AS smallint MAXVALUE 9 CYCLE;
SELECT nextval('zoo.small') FROM generate_series(1, 11) \g /dev/null
CREATE SEQUENCE zoo.down INCREMENT -5 MINVALUE -1000 MAXVALUE 100 START 100 CACHE 3;
SELECT nextval('zoo.down') FROM generate_series(1, 4) \g /dev/null
CREATE SEQUENCE zoo.at_the_end;
SELECT setval('zoo.at_the_end', 9223372036854775807) \g /dev/null
CREATE SEQUENCE zoo.below_zero AS int MINVALUE -2147483648 START -2147483648;
CREATE SEQUENCE "UPPER"."Odd; ""sequence""
'name'" START 7;
SELECT nextval('"UPPER"."Odd; ""sequence""
''name''"') \g /dev/null
COMMENT ON SEQUENCE zoo.down IS 'backwards';
ALTER SEQUENCE zoo.called OWNER TO menagerie_keeper;

-- Used by a column but not owned by it, and owned by one that does not use it.
CREATE TABLE zoo.uses_sequence (a bigint DEFAULT nextval('zoo.called'), b int);
INSERT INTO zoo.uses_sequence (b) SELECT i FROM generate_series(1, 4) i;
CREATE SEQUENCE zoo.owned OWNED BY zoo.uses_sequence.b;
\if :v15
CREATE UNLOGGED SEQUENCE zoo.unlogged_sequence START 3;
SELECT nextval('zoo.unlogged_sequence') \g /dev/null
\endif
