-- Large objects: two owners, privileges, comments, an empty one, numbers beyond a signed integer, one of more than a megabyte.

SELECT lo_create(101), lo_create(2147483648), lo_create(4000000000) \g /dev/null
SELECT lo_from_bytea(102, '\x00ff5c2e0a'), lo_from_bytea(3000000001, 'large; number') \g /dev/null
SELECT lo_from_bytea(103, (SELECT string_agg(sha256(convert_to(i::text, 'UTF8')), '') FROM generate_series(1, 50000) i)) \g /dev/null
-- One with a hole: nothing is stored between its ends.
SELECT lo_from_bytea(104, 'begin'), lo_put(104, 700000, 'end') \g /dev/null
SELECT lo_from_bytea(200 + i, convert_to('number ' || i, 'UTF8')) FROM generate_series(1, 30) i \g /dev/null
ALTER LARGE OBJECT 102 OWNER TO menagerie_keeper;
ALTER LARGE OBJECT 3000000001 OWNER TO menagerie_keeper;
GRANT SELECT ON LARGE OBJECT 102 TO PUBLIC;
GRANT SELECT, UPDATE ON LARGE OBJECT 103, 3000000001 TO "Menagerie ""Visitor""; ünï" WITH GRANT OPTION;
REVOKE ALL ON LARGE OBJECT 104 FROM CURRENT_USER;
COMMENT ON LARGE OBJECT 102 IS E'it''s; "binary"\nand owned';
COMMENT ON LARGE OBJECT 3000000001 IS 'beyond';
