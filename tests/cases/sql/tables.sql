-- What there is.
SHOW TABLES;

-- Rows of every table.
SELECT 'message' AS name, count(*) AS n FROM message
UNION ALL SELECT 'dead_message', count(*) FROM dead_message
UNION ALL SELECT 'record', count(*) FROM record
UNION ALL SELECT 'content', count(*) FROM content
UNION ALL SELECT 'unresolved_ack', count(*) FROM unresolved_ack
ORDER BY name;

-- Columns and their types.
SELECT table_name, column_name, data_type, is_nullable
FROM information_schema.columns
WHERE table_name IN ('message', 'record')
ORDER BY table_name, ordinal_position;
