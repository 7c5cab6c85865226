-- Dead letters of both systems with their content, if it was kept. In RocketMQ dead letters are messages of kind 2.
CREATE VIEW dead_letters AS
SELECT
    d.system, d.subject, d.consumer_group, d.broker_group, d.sequence, d.message_id, d.create_time, d.store_time,
    d.tags, c.attributes, c.body_size, d.dt,
    d.subject AS origin_subject, NULL AS queue_id, NULL AS own_id, NULL AS keys, NULL AS reconsume_times,
    NULL AS properties, c.body
FROM dead_message d
LEFT JOIN content c
    ON c.kind = 2 AND c.subject = d.subject AND c.consumer_group = d.consumer_group
    AND c.broker_group = d.broker_group AND c.sequence = d.sequence AND c.message_id = d.message_id
    AND c.dt = d.dt
UNION ALL
SELECT
    m.system, m.subject, m.consumer_group, m.broker_group, m.sequence, m.message_id, m.create_time, m.store_time,
    m.tags, c.attributes, m.body_size, m.dt,
    m.origin_subject, m.queue_id, m.own_id, m.keys, m.reconsume_times, m.properties, c.body
FROM message m
LEFT JOIN content c
    ON c.kind = 2 AND c.subject = m.subject AND c.broker_group = m.broker_group AND c.queue_id = m.queue_id
    AND c.sequence = m.sequence AND c.message_id = m.message_id AND c.dt = m.dt
    AND coalesce(c.physical_offset, m.physical_offset) = m.physical_offset
WHERE m.kind = 2;
