-- settings: timeout = "600s"

-- rows
SELECT 1«+1×300» AS n

-- rows
SELECT «(×20»1«)×20»

-- rows
SELECT «abs(×20»1«)×20»

-- rows
SELECT 1 WHERE 'a' = 'b'« OR 'a' = 'b'×400»

-- rows
SELECT «CASE WHEN true THEN ×10»1« END×10»

-- rows
SELECT * FROM «(SELECT * FROM ×10»(SELECT count(*) AS n FROM message) t«) t×10»

-- rows
SELECT count(*) FROM message WHERE sequence IN (1«, 2×5000»)

-- rows
SELECT length('«a×900000»') AS n

-- rows
SELECT * FROM (VALUES (1«, 1×1000»))

-- rows
SELECT count(*) FROM message LIMIT 0

-- rows
SELECT * FROM message LIMIT 9223372036854775807 OFFSET 9223372036854775807

-- rows
SELECT subject FROM message OFFSET 1000000000

-- rows
SELECT '名前' AS "ключ", '🦀' AS "🦀", 'e' || chr(769) AS combined

-- rows
SELECT chr(1) || chr(127) AS control

-- rows
/* a /* nested */ comment */ SELECT 1 -- and one more

-- rows
SELECT "n" FROM (SELECT 1 AS "n") AS "a ""quoted"" name"

-- rows
SELECT NULL AS a, NULL AS b, make_array(NULL, NULL) AS c

-- rows
SELECT 1.0 / 0.0 AS infinite

-- rows
SELECT length(repeat('a', 100000000)) AS n

-- rows
SELECT cardinality(range(0, 1000000)) AS n

-- rows
SELECT regexp_like(repeat('a', 100000), '(a*)*b') AS n

-- rows
SELECT try_cast('x' AS INT) AS n, try_cast('99999999999999999999' AS BIGINT) AS m

-- rows
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT max(n) FROM t

-- rows
SELECT table_name FROM information_schema.tables ORDER BY 1

-- rows
SHOW TABLES

-- rows
DESCRIBE message

-- rows
EXPLAIN SELECT * FROM messages WHERE subject = 'x'

-- rows
EXPLAIN ANALYZE SELECT count(*) FROM record
