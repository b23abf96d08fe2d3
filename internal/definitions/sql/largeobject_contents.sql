-- The bytes of large objects, hashed on the server in pieces. A piece that is not full is the last one.
SELECT 'large object' AS kind, m.oid::text AS object, c.size, c.contents
FROM pg_largeobject_metadata m
     CROSS JOIN LATERAL (
         WITH RECURSIVE pieces (number, size, hash) AS (
             SELECT 0::bigint, length(lo_get(m.oid, 0, 1048576)), md5(lo_get(m.oid, 0, 1048576))
             UNION ALL
             SELECT number + 1, length(p.data), md5(p.data)
             FROM pieces CROSS JOIN LATERAL (SELECT lo_get(m.oid, (number + 1) * 1048576, 1048576) AS data OFFSET 0) p
             WHERE pieces.size = 1048576
         )
         SELECT sum(size) AS size, md5(string_agg(hash, '' ORDER BY number)) AS contents FROM pieces
     ) c
WHERE m.oid BETWEEN '%d'::oid AND '%d'::oid
