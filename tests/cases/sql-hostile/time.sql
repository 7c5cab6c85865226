-- settings: timeout = "1s"

-- limit sql.timeout
SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b

-- limit sql.timeout
SELECT count(*) FROM message a CROSS JOIN message b CROSS JOIN message c

-- limit sql.timeout
SELECT max(a.value * b.value) FROM generate_series(1, 10000000) a CROSS JOIN generate_series(1, 10000000) b

-- limit sql.timeout
SELECT count(*) FROM generate_series(1, 10000000) a JOIN generate_series(1, 10000000) b ON a.value + b.value < 0

-- limit sql.timeout
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t

-- limit sql.timeout
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n > 0) SELECT max(n) FROM t

-- limit sql.timeout
SELECT count(*) FROM generate_series(1, 100000000000) WHERE regexp_like(CAST(value AS VARCHAR), '(1|2|3)+(4|5)*$')

-- limit sql.timeout
SELECT count(*) FROM generate_series(1, 100000000000) WHERE CAST(value AS VARCHAR) LIKE '%1%2%3%4%'

-- limit sql.timeout
SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))

-- limit sql.timeout
EXPLAIN SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))

-- limit sql.timeout
SELECT sum(levenshtein(repeat(subject, 10000), repeat(message_id, 10000))) FROM (SELECT * FROM message LIMIT 10)

-- limit sql.timeout
SELECT count(*) FROM generate_series(1, 100000000000)

-- limit sql.timeout
SELECT sum(sqrt(value)) FROM generate_series(1, 100000000000)

-- limit sql.timeout
SELECT count(sha512(CAST(value AS VARCHAR))) FROM generate_series(1, 100000000000)

-- limit sql.timeout
SELECT count(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c, information_schema.columns d, information_schema.columns e

-- limit sql.timeout
SELECT * FROM generate_series(1, 9223372036854775807) OFFSET 9000000000000000000

-- limit sql.timeout
SELECT sum(n) FROM (SELECT row_number() OVER () AS n FROM generate_series(1, 100000000000))

-- limit sql.timeout
EXPLAIN ANALYZE SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b

-- limit sql.timeout
SELECT count(*) FROM messages a, messages b, messages c

-- limit sql.timeout
SELECT count(*) FROM message a WHERE EXISTS (SELECT 1 FROM generate_series(1, 10000000000) g WHERE g.value + a.sequence < 0)

-- limit sql.timeout
SELECT count(*) FROM generate_series(TIMESTAMP '1700-01-01T00:00:00', TIMESTAMP '2200-01-01T00:00:00', INTERVAL '1' SECOND)

-- limit sql.timeout
SELECT avg(random()) FROM generate_series(1, 100000000000)

-- limit sql.timeout
SELECT value % 7, count(*) FROM generate_series(1, 100000000000) GROUP BY 1

-- limit sql.timeout
SELECT count(*) FROM generate_series(1, 100000000000) WHERE value IN (SELECT sequence FROM message)

-- limit sql.timeout
SELECT max(value) FROM (SELECT value FROM generate_series(1, 100000000000) ORDER BY value % 11 DESC LIMIT 3)

-- limit sql.timeout
SELECT bit_xor(value) FROM generate_series(1, 100000000000)

-- limit sql.timeout
(SELECT count(*) FROM generate_series(1, 100000000000)) «UNION ALL (SELECT count(*) FROM generate_series(1, 100000000000)) ×30»

-- limit sql.timeout
SELECT max(factorial(value % 20)) FROM generate_series(1, 100000000000)
