-- Per queue and consumer group, at the latest sample with the group: how many messages it had not consumed yet.
CREATE VIEW current_backlog AS
SELECT
    g.system, g.subject, g.consumer_group, g.broker_group, g.queue_id, g.sample_time, g.consumer_offset,
    q.min_offset, q.max_offset,
    CASE WHEN q.max_offset > g.consumer_offset THEN q.max_offset - g.consumer_offset
        WHEN q.max_offset <= g.consumer_offset THEN 0 END AS backlog,
    g.dt
FROM (
    SELECT
        system, subject, consumer_group, broker_group, queue_id, max(sample_time) AS sample_time,
        last_value(consumer_offset ORDER BY sample_time) AS consumer_offset, max(dt) AS dt
    FROM consumer_progress
    WHERE consumer_group <> '' AND consumer_offset IS NOT NULL
    GROUP BY system, subject, consumer_group, broker_group, queue_id
) g
LEFT JOIN (
    SELECT DISTINCT system, subject, broker_group, queue_id, sample_time, min_offset, max_offset, dt
    FROM consumer_progress
    WHERE consumer_group = ''
) q
    ON q.system = g.system AND q.subject = g.subject AND q.broker_group = g.broker_group AND q.queue_id = g.queue_id
    AND q.sample_time = g.sample_time AND q.dt = g.dt;
