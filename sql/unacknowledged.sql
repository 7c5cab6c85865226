-- Messages that a consumer group pulled and has not acknowledged: in progress, stuck, or never finished.
CREATE VIEW unacknowledged AS
SELECT
    c.system, c.subject, c.kind, c.broker_group, c.sequence, c.consumer_group, m.message_id, m.create_time,
    c.first_pull_time, c.last_pull_time, c.pulls
FROM consumption c
JOIN message m
    ON m.subject = c.subject AND m.kind = c.kind AND m.broker_group = c.broker_group AND m.sequence = c.sequence
    AND (m.kind = 0 OR m.consumer_group = c.consumer_group)
WHERE c.acks = 0;
