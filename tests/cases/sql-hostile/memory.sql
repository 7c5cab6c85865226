-- settings: memory = "64MiB", timeout = "600s"

-- limit sql.memory
SELECT length(repeat('a', 2000000000))

-- limit sql.memory
SELECT length(repeat('a', 500000000))

-- limit sql.memory
SELECT sum(length(repeat(subject, 1000000))) FROM message

-- limit sql.memory
SELECT length(rpad('a', 1500000000, 'b'))

-- limit sql.memory
SELECT length(lpad('a', 1500000000, 'xy'))

-- limit sql.memory
SELECT sum(length(lpad(subject, 1000000))) FROM messages

-- limit sql.memory
SELECT cardinality(array_repeat(1, 1000000000))

-- limit sql.memory
SELECT cardinality(array_repeat(repeat('a', 1000000), 1000))

-- limit sql.memory
SELECT cardinality(range(0, 2000000000))

-- limit sql.memory
SELECT cardinality(generate_series(1, 2000000000))

-- limit sql.memory
SELECT length(string_agg(repeat(subject, 100000), ',')) FROM message

-- limit sql.memory
SELECT cardinality(array_agg(repeat(subject, 100000))) FROM message

-- limit sql.memory
SELECT length(replace(repeat('a', 50000000), 'a', 'bbbbbbbbbbbbbbbb'))

-- limit sql.memory
SELECT length(regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000), 'g'))

-- limit sql.memory
SELECT length(encode(CAST(repeat('a', 100000000) AS BYTEA), 'hex'))

-- limit sql.memory
SELECT length(encode(CAST(repeat('a', 100000000) AS BYTEA), 'base64'))

-- limit sql.memory
SELECT length(concat(repeat('a', 60000000), repeat('b', 60000000), repeat('c', 60000000)))

-- limit sql.memory
SELECT length(repeat('a', 80000000) || repeat('b', 80000000))

-- limit sql.memory
SELECT length(concat_ws(',', repeat('a', 60000000), repeat('b', 60000000), repeat('c', 60000000)))

-- limit sql.memory
WITH a AS (SELECT repeat(message_id, 100) AS x FROM message), b AS (SELECT concat(x, x, x, x, x, x, x, x, x, x) AS x FROM a), c AS (SELECT concat(x, x, x, x, x, x, x, x, x, x) AS x FROM b), d AS (SELECT concat(x, x, x, x, x, x, x, x, x, x) AS x FROM c) SELECT max(length(x)) FROM d

-- limit sql.memory
WITH RECURSIVE t AS (SELECT 1 AS n, repeat('x', 1000) AS s UNION ALL SELECT n + 1, s || s FROM t WHERE n < 40) SELECT max(n) FROM t

-- limit sql.memory
SELECT length(upper(repeat('a', 100000000)))

-- limit sql.memory
SELECT length(reverse(repeat('a', 150000000)))

-- limit sql.memory
SELECT length(initcap(repeat('a', 150000000)))

-- limit sql.memory
SELECT length(overlay(repeat('a', 80000000) PLACING repeat('b', 80000000) FROM 2))

-- limit sql.memory
SELECT repeat(message_id, 10000) AS k, count(*) FROM message GROUP BY 1 LIMIT 1

-- limit sql.memory
SELECT length(repeat(message_id, 100000)) FROM message ORDER BY repeat(message_id, 100000)

-- limit sql.memory
SELECT count(*) FROM (SELECT DISTINCT repeat(message_id, 10000) FROM message)

-- limit sql.memory
SELECT length(max(repeat(message_id, 100000))) FROM message

-- limit sql.memory
SELECT length(first_value(repeat(message_id, 100000))) FROM message

-- limit sql.memory
SELECT max(length(x)) FROM (SELECT lag(repeat(message_id, 10000)) OVER (ORDER BY sequence) AS x FROM message)

-- limit sql.memory
EXPLAIN ANALYZE SELECT length(repeat('a', 2000000000))

-- limit sql.memory
EXPLAIN SELECT length(repeat('a', 2000000000))

-- limit sql.memory
EXPLAIN VERBOSE SELECT length(repeat('a', 2000000000))

-- limit sql.memory
SELECT length(repeat('a', 2000000000)) «UNION ALL SELECT length(repeat('a', 2000000000)) ×50»

-- limit sql.memory
SELECT CASE WHEN length(repeat('a', 2000000000)) > 1 THEN 1 ELSE 2 END

-- limit sql.memory
SELECT count(*) FROM message WHERE subject IN (SELECT repeat(message_id, 10000) FROM message)

-- limit sql.memory
SELECT count(*) FROM message WHERE length(repeat(subject, 1000000)) > 5

-- limit sql.memory
SELECT count(*) FILTER (WHERE length(repeat(subject, 1000000)) > 1) FROM message

-- limit sql.memory
SELECT subject FROM message GROUP BY subject HAVING length(repeat(subject, 100000000)) > 1

-- limit sql.memory
SELECT cardinality(make_array(repeat('a', 50000000), repeat('b', 50000000), repeat('c', 50000000), repeat('d', 50000000)))

-- limit sql.memory
SELECT cardinality(array_concat(array_repeat(1, 20000000), array_repeat(2, 20000000)))

-- limit sql.memory
SELECT cardinality(flatten(array_repeat(array_repeat(1, 10000), 10000)))

-- limit sql.memory
SELECT length(array_to_string(array_repeat(repeat('a', 100000), 10000), ','))

-- limit sql.memory
SELECT cardinality(string_to_array(repeat('a,', 100000000), ','))

-- limit sql.memory
SELECT cardinality(array_resize(make_array(1), 1000000000, 0))

-- limit sql.memory
SELECT cardinality(array_sort(range(0, 100000000)))

-- limit sql.memory
SELECT cardinality(array_distinct(range(0, 100000000)))

-- limit sql.memory
SELECT cardinality(array_reverse(range(0, 100000000)))

-- limit sql.memory
SELECT encode(sha512(repeat('a', 300000000)), 'hex')

-- limit sql.memory
SELECT encode(digest(repeat('a', 300000000), 'sha256'), 'hex')

-- limit sql.memory
SELECT md5(repeat('x', 1000000000))

-- limit sql.memory
SELECT count(*) FROM (SELECT unnest(range(0, 1000000000)))

-- limit sql.memory
SELECT map(range(0, 50000000), range(0, 50000000))

-- limit sql.memory
SELECT length(named_struct('a', repeat('a', 2000000000))['a'])

-- limit sql.memory
SELECT coalesce(NULL, repeat('a', 2000000000)) = 'x'

-- limit sql.memory
SELECT nullif(repeat('a', 2000000000), 'b') IS NULL

-- limit sql.memory
SELECT CAST(repeat('1', 2000000000) AS BIGINT)

-- limit sql.memory
SELECT 'x' LIKE repeat('%', 2000000000)

-- limit sql.memory
SELECT regexp_like('x', repeat('a', 1000000000))

-- limit sql.memory
SELECT length(column1) FROM (VALUES (repeat('a', 2000000000)), (repeat('b', 2000000000)))

-- limit sql.memory
SELECT count(*) FROM message a JOIN message b ON repeat(a.subject, 1000000) = b.subject

-- limit sql.memory
SELECT (SELECT length(repeat('a', 2000000000)))

-- limit sql.memory
SELECT count(*) FROM message m WHERE EXISTS (SELECT 1 FROM message o WHERE o.subject = repeat(m.subject, 1000000))

-- limit sql.memory
SELECT count(DISTINCT repeat(message_id, 10000)) FROM message

-- limit sql.memory
SELECT median(length(repeat(message_id, 100000))) FROM message

-- limit sql.memory
SELECT cardinality(array_agg(value)) FROM generate_series(1, 10000000000)

-- limit sql.memory
SELECT length(string_agg(repeat('x', 1000), ',')) FROM generate_series(1, 10000000000)

-- limit sql.memory
SELECT max(length(to_hex(value) || repeat('0', 10000000))) FROM generate_series(1, 1000)

-- limit sql.memory
SELECT max(length(translate(repeat(subject, 1000000), 'abc', 'xyz'))) FROM message

-- limit sql.memory
SELECT max(length(substr(repeat(subject, 1000000), 2))) FROM message

-- limit sql.memory
SELECT max(cardinality(array_repeat(subject, 1000000))) FROM message

-- limit sql.memory
SELECT max(cardinality(range(0, sequence + 1000000))) FROM message

-- limit sql.memory
SELECT a.value FROM generate_series(1, 3) a JOIN LATERAL (SELECT repeat('a', 2000000000) AS s) b ON length(b.s) > a.value

-- limit sql.memory
SELECT repeat(repeat(repeat('abcdefghij', 1000), 1000), 1000) = ''

-- limit sql.memory
SELECT arrow_cast(repeat('a', 2000000000), 'LargeUtf8') = ''

-- limit sql.memory
SELECT subject || repeat('a', 10000000) AS s FROM message ORDER BY s LIMIT 5

-- limit sql.memory
SELECT repeat('a', 3000000000000)

-- limit sql.memory
SELECT length(rpad('a', 3000000000000))
