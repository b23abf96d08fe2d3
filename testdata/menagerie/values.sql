-- Values that are hard to carry.

CREATE TABLE zoo.texts (id int PRIMARY KEY, t text, v varchar(20), c char(8), n name, k "char");
INSERT INTO zoo.texts VALUES
    (1, E'\\.', E'\\N', '\.', 'name', 'k'), (2, '', '', '', '', ''), (3, NULL, NULL, NULL, NULL, NULL),
    (4, E'tab\tnewline\nreturn\rbackslash\\ both\r\n end\\', E'\b\f\v\x01\x7f', '  x ', '"', '\'),
    (5, '😀 𝄞 雀士 naïve é (combining e' || U&'\0301' || ') ' || U&'\+10FFFF', 'ß', 'ü', 'ünï', E'\x7f'),
    (6, repeat('0123456789', 20000), '"quoted", {braces}', E'a\\', '$$', 'x'), (7, 'null', 'NULL', '\n', 'n', 'y'),
    (8, (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 40000) i), E'\u200B', '', '', 'z');

CREATE TABLE zoo.numbers (id int PRIMARY KEY, s smallint, i int, b bigint, n numeric, ns numeric(7, 2), f real, d double precision, m money, o oid);
INSERT INTO zoo.numbers VALUES
    (1, -32768, -2147483648, -9223372036854775808, 'NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08', 4294967295),
    (2, 32767, 2147483647, 9223372036854775807, 1e300, 99999.99, 'Infinity', 'Infinity', '1234.56', 0),
    (3, 0, 0, 0, -1e-300, -0.01, '-Infinity', '-Infinity', '0', 3000000000),
    (4, 1, 1, 1, 123456789012345678901234567890.123456789012345678901234567890, 0.10, 1.17549435e-38, 5e-324, '1', 1),
    (5, 1, 1, 1, 0.000, 0, 3.4028235e38, 1.7976931348623157e308, '-0.01', 1),
    (6, 1, 1, 1, 1.10, 0, '-0', '-0', '1', 1), (7, 1, 1, 1, 1.1000, 0, 0.1, 0.1::float8 + 0.2, '1', 1),
    (8, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
\if :v14
INSERT INTO zoo.numbers (id, n) VALUES (9, 'Infinity'), (10, '-Infinity');
\endif

CREATE TABLE zoo.times (id int PRIMARY KEY, d date, t time, tz time with time zone, ts timestamp, tstz timestamptz, i interval, t0 timestamp(0), iy interval year to month);
INSERT INTO zoo.times VALUES
    (1, '4713-11-24 BC', '00:00', '00:00+15:59', '4713-11-24 00:00 BC', '4713-11-24 00:00 UTC BC', '-178000000 years', '2000-01-01', '1 year'),
    (2, '5874897-12-31', '24:00', '24:00-15:59', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999 UTC', '178000000 years', '2000-01-01', '-1 mon'),
    (3, 'infinity', '12:34:56.789012', '01:02:03.4-05:45', 'infinity', '-infinity', '1 mon -3 days 04:05:06.789', '1999-12-31 23:59:59', NULL),
    (4, '-infinity', '23:59:59.999999', '12:00+00', '0001-01-01 BC', '2024-03-31 02:30 Europe/Zurich', '-00:00:00.000001', '1582-10-15', '0'),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE zoo.bits (id int PRIMARY KEY, b bytea, b3 bit(3), bv bit varying(9), u uuid, f boolean, inet inet, cidr cidr, m macaddr, m8 macaddr8);
INSERT INTO zoo.bits VALUES
    (1, '', B'101', B'', '00000000-0000-0000-0000-000000000000', true, '::1', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05'),
    (2, (SELECT string_agg(decode(lpad(to_hex(i), 2, '0'), 'hex'), '') FROM generate_series(0, 255) i), B'000', B'111111111', md5('x')::uuid, false, '192.168.0.1/24', '2001:db8::/32', NULL, NULL),
    (3, (SELECT string_agg(sha256(convert_to(i::text, 'UTF8')), '') FROM generate_series(1, 50000) i), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE zoo.documents (id int PRIMARY KEY, j json, jb jsonb, x xml, p jsonpath, v tsvector, q tsquery, h "With a space".hstore, l public.ltree, ci public.citext);
INSERT INTO zoo.documents VALUES
    (1, '{ "a" : 1, "a": 2 , "b": "\u00e9\n\\" }', '{"n": 1.10, "z": null, "é": ["", {}]}', '<a b="1">x &amp; <!-- c --> y</a>', 'strict $.a[*] ? (@ > 1)', $$'it''s':1A 'b\\':2,3$$, '!a & (b | ''c d'') <-> e:*', 'a=>NULL, "b c"=>"\"x"', 'a.b.c', 'CaSe'),
    (2, '[]', '"😀"', 'text only', '$', '', '', '', '', ''), (3, 'null', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE zoo.arrays (id int PRIMARY KEY, i int[], t text[], m int[][], b bytea[], d date[], r int4range, tr tstzrange[], nr zoo.name_range, f float8[]);
INSERT INTO zoo.arrays VALUES
    (1, '{}', '{}', '{{1,2},{3,NULL}}', ARRAY['\x00'::bytea, ''], '{infinity,0001-01-01 BC}', 'empty', ARRAY[tstzrange(NULL, NULL)], '["a;","b"""]', '{NaN,-0,1e-300}'),
    (2, '[-2:0]={7,8,9}', ARRAY['', NULL, 'NULL', 'a,b', '"', '\', '{', E'\n'], '[0:1][5:5]={{1},{2}}', NULL, NULL, '[1,)', NULL, '(,z]', NULL),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
\if :v14
CREATE TABLE zoo.multiranges (id int, m int4multirange, s zoo.spans, t tstzmultirange[]);
INSERT INTO zoo.multiranges VALUES (1, '{[1,3),[7,9]}', '{[1.5,2.5],(7,)}', ARRAY['{}'::tstzmultirange]), (2, NULL, '{}', NULL);
\endif

CREATE TABLE zoo.shapes (p point, l line, s lseg, b box, pa path, po polygon, c circle);
INSERT INTO zoo.shapes VALUES ('(1,2)', '{1,-1,0}', '[(0,0),(1,1e-10)]', '(1,1),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(0,0),1.5>'),
    ('(NaN,-0)', NULL, NULL, NULL, '((1,1))', NULL, '<(1e300,-1e-300),0>');

-- What is a number inside and a name outside: the numbers differ from server to server.
CREATE TABLE zoo.names (c regclass, p regproc, pp regprocedure, o regoper, oo regoperator, t regtype, r regrole, n regnamespace,
    tc regconfig, td regdictionary, a aclitem, cs regclass[], mood zoo.mood, lo oid);
INSERT INTO zoo.names VALUES ('zoo.animals', 'zoo.shout', 'zoo.feed(bigint)', 'zoo.===', 'zoo.===(zoo.mood,zoo.mood)', 'zoo.mood', 'menagerie_keeper', 'zoo',
    'zoo."Zoo config"', 'zoo.zoo_dictionary', 'menagerie_keeper=r*/menagerie_vet', '{zoo.keepers,NULL}', 'escaped', 3000000001);
INSERT INTO zoo.names (p, t) VALUES ('-', '-');
CREATE TABLE zoo.inner_numbers (x xid, x8 xid8, c cid, t tid, l pg_lsn, s pg_snapshot, ts txid_snapshot, i2 int2vector, ov oidvector, cur refcursor);
INSERT INTO zoo.inner_numbers VALUES ('4294967295', '18446744073709551615', '7', '(4294967295,65535)', 'FFFFFFFF/FFFFFFFF', '10:20:10,14,15', '10:20:10,14,15', '1 -2', '1 4294967295', 'cur"sor');
\if :v14
CREATE TABLE zoo.names14 (c regcollation);
INSERT INTO zoo.names14 VALUES ('zoo.swedish');
\endif
