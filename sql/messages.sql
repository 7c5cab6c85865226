-- Messages with readable kinds. One row per stored copy, retries included; for RocketMQ also dead letters and waiting
-- copies.
CREATE VIEW messages AS
SELECT
    system, subject,
    CASE kind
        WHEN 0 THEN 'normal' WHEN 1 THEN 'retry' WHEN 2 THEN 'dead' WHEN 3 THEN 'delay' WHEN 4 THEN 'timer'
        WHEN 5 THEN 'half' WHEN 6 THEN 'op' WHEN 7 THEN 'pop' WHEN 8 THEN 'trace' WHEN 9 THEN 'recall'
        WHEN 10 THEN 'check_max' WHEN 11 THEN 'system' ELSE 'other'
    END AS kind,
    consumer_group, broker_group, sequence, message_id, create_time, store_time, tags, dt,
    queue_id, origin_subject, own_id, keys, born_time, born_host, store_host, body_size, reconsume_times, properties
FROM message;
