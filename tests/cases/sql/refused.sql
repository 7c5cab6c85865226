-- Nothing writes, reads files or changes settings.
CREATE TABLE x (a INT);
-- > error: this endpoint is read-only; only queries run here (Error during planning: DDL not supported: CreateMemoryTable)

INSERT INTO message SELECT * FROM message;
-- > error: this endpoint is read-only; only queries run here (Error during planning: DML not supported: Insert Into)

DELETE FROM message;
-- > error: this endpoint is read-only; only queries run here (Error during planning: DML not supported: Delete)

DROP TABLE message;
-- > error: this endpoint is read-only; only queries run here (Error during planning: DDL not supported: DropTable)

COPY (SELECT 1) TO '/tmp/mqlake-refused.csv';
-- > error: this endpoint is read-only; only queries run here (Error during planning: DML not supported: COPY)

CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd';
-- > error: this endpoint is read-only; only queries run here (Error during planning: DDL not supported: CreateExternalTable)

SET datafusion.execution.batch_size = 1;
-- > error: this endpoint is read-only; only queries run here (Error during planning: Statement not supported: SetVariable)

SELECT * FROM '/etc/passwd';
-- > error: Error during planning: table 'mqlake.public./etc/passwd' not found

EXPLAIN ANALYZE INSERT INTO message SELECT * FROM message;
-- > error: this endpoint is read-only; only queries run here (Error during planning: DML not supported: Insert Into)

-- Two statements at once.
SELECT 1; SELECT 2
-- > error: This feature is not implemented: The context currently only supports a single SQL statement

-- Not a statement.
SELEKT 1
-- > error: SQL error: ParserError("Expected: an SQL statement, found: SELEKT at Line: 1, Column: 1")

-- Functions take constants, and say which.
SELECT * FROM offsets_at('rocketmq', 'orders');
-- > error: Error during planning: offsets_at(system, topic, time) was called with 2 arguments

SELECT * FROM offsets_at('rocketmq', 'orders', 'yesterday');
-- > error: Error during planning: argument `time` of offsets_at: `yesterday` is no time: write epoch milliseconds, or ISO 8601 as 2026-11-21T10:00:00Z

SELECT * FROM offsets_at('rocketmq', message_id, 0);
-- > error: Error during planning: argument `topic` of offsets_at must be a constant

SELECT * FROM backtrack_preview('qmq', NULL, 'orders', 0);
-- > error: Error during planning: argument `group` of backtrack_preview: must not be null
