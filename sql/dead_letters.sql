-- Dead letters with their content, as far as it was kept.
CREATE VIEW dead_letters AS
SELECT
    d.system, d.subject, d.consumer_group, d.broker_group, d.sequence, d.message_id, d.create_time, d.store_time,
    d.tags, c.attributes, c.body_size, d.dt
FROM dead_message d
LEFT JOIN content c
    ON c.kind = 2 AND c.subject = d.subject AND c.consumer_group = d.consumer_group
    AND c.broker_group = d.broker_group AND c.sequence = d.sequence AND c.message_id = d.message_id
    AND c.dt = d.dt;
