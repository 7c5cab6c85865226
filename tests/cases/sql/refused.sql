-- Nothing writes, reads files or changes settings.
CREATE TABLE x (a INT);

INSERT INTO message SELECT * FROM message;

DELETE FROM message;

DROP TABLE message;

COPY (SELECT 1) TO '/tmp/mqlake-refused.csv';

CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd';

SET datafusion.execution.batch_size = 1;

SELECT * FROM '/etc/passwd';

EXPLAIN ANALYZE INSERT INTO message SELECT * FROM message;

-- Two statements at once.
SELECT 1; SELECT 2

-- Not a statement.
SELEKT 1

