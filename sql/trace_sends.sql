-- Sends as producers report them in their traces: one row per message and send that a broker answered.
-- A send that was reported twice is one row. Cost and body length of a batch are those of the whole batch.
-- Keys are joined to a text, because lists have no least value; no key contains a space.
CREATE VIEW trace_sends AS
SELECT
    system, time_stamp AS send_time, topic, msg_id, group_name AS producer_group, min(client_host) AS client_host,
    min(store_host) AS store_host, CASE WHEN min(cost_time) >= 0 THEN min(cost_time) END AS cost_ms, success,
    CASE min(msg_type)
        WHEN 0 THEN 'normal' WHEN 1 THEN 'transaction_half' WHEN 2 THEN 'transaction_commit' WHEN 3 THEN 'delay'
        WHEN 4 THEN 'order' ELSE CAST(min(msg_type) AS VARCHAR)
    END AS message_type,
    offset_msg_id, string_to_array(min(array_to_string(keys, ' ')), ' ') AS keys, min(tags) AS tags,
    min(body_length) AS body_length, bean AS batch_place, dt
FROM trace
WHERE trace_type = 'Pub'
GROUP BY system, dt, topic, group_name, msg_id, offset_msg_id, time_stamp, success, bean;
