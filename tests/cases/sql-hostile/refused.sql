-- settings: timeout = "600s"

-- sql
CREATE TABLE x (a INT)

-- sql
CREATE TABLE x AS SELECT * FROM message

-- sql
CREATE VIEW v AS SELECT 1

-- sql
CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'

-- sql
CREATE FUNCTION f(BIGINT) RETURNS BIGINT RETURN $1 + 1

-- sql
CREATE SCHEMA x

-- sql
INSERT INTO message SELECT * FROM message

-- sql
UPDATE message SET subject = 'x'

-- sql
DELETE FROM message

-- sql
TRUNCATE TABLE message

-- sql
DROP TABLE message

-- sql
DROP VIEW messages

-- sql
COPY (SELECT 1) TO '/tmp/mqlake-hostile.csv'

-- sql
COPY message TO 's3://somewhere/x.parquet'

-- sql
SET datafusion.execution.batch_size = 1

-- sql
SET sql.memory = '100GiB'

-- sql
RESET datafusion.execution.batch_size

-- sql
PREPARE p AS SELECT 1

-- sql
EXECUTE p

-- sql
BEGIN

-- sql
EXPLAIN ANALYZE INSERT INTO message SELECT * FROM message

-- sql
EXPLAIN COPY (SELECT 1) TO '/tmp/mqlake-hostile.csv'

-- sql
SELECT * FROM '/etc/passwd'

-- sql
SELECT * FROM 'file:///etc/passwd'

-- sql
SELECT * FROM read_csv('/etc/passwd')

-- sql
SELECT 1; DROP TABLE message

-- sql
SELECT 1; SELECT 2

-- sql
SELEKT 1

-- sql
SELECT

-- sql
SELECT 'never closed

-- sql
SELECT 1 /* /* never closed */

-- sql
SELECT "never closed

-- sql
SELECT nothing FROM message

-- sql
SELECT $1

-- sql
SELECT :name

-- sql
SELECT 1 / 0

-- sql
SELECT 1 % 0

-- sql
SELECT sequence / (sequence - sequence) FROM message

-- sql
SELECT CAST('x' AS INT)

-- sql
SELECT CAST(300 AS TINYINT)

-- sql
SELECT CAST('99999999999999999999' AS BIGINT)

-- sql
SELECT CAST('2024-13-45' AS DATE)

-- sql
SELECT factorial(1000)

-- rows
DESCRIBE SELECT length(repeat('a', 2000000000))

-- sql
SELECT 1 LIMIT -1

-- sql
SELECT 1 LIMIT length(repeat('a', 10)) - 20

-- sql
SELECT regexp_like('a', '(')

-- sql
SELECT regexp_like('a', 'a{1000}{1000}{1000}')

-- sql
SELECT * FROM message WHERE subject

-- sql
SELECT sum(subject) FROM message

-- sql
SELECT generate_series(1, 10, 0)

-- sql
SELECT * FROM offsets_at('qmq', (SELECT repeat('a', 2000000000)), 0)

-- sql
SELECT 1 AS a, 2 AS a

-- sql
GRANT ALL ON message TO everybody

-- sql
CALL shutdown()

-- sql
SELECT «(×400»1«)×400»

-- sql
SELECT «abs(×400»1«)×400»

-- sql
SELECT «CASE WHEN true THEN ×300»1« END×300»

-- sql
SELECT * FROM «(SELECT * FROM ×300»message«) t×300»

-- sql
SELECT «[×400»1«]×400»

-- sql
SELECT 1 AS a«, 1×1000»
