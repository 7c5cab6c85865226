-- Messages with readable kinds: normal ones and retries. One row per stored copy.
CREATE VIEW messages AS
SELECT
    system, subject,
    CASE kind WHEN 0 THEN 'normal' WHEN 1 THEN 'retry' ELSE 'other' END AS kind,
    consumer_group, broker_group, sequence, message_id, create_time, store_time, tags, dt
FROM message;
