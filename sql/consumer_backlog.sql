-- Per sample of a broker, topic and consumer group: how many messages the group had not consumed yet.
-- The end of a queue comes from the same sample; without it the backlog of the queue is unknown.
CREATE VIEW consumer_backlog AS
SELECT
    g.system, g.subject, g.consumer_group, g.broker_group, g.sample_time,
    sum(CASE WHEN q.max_offset > g.consumer_offset THEN q.max_offset - g.consumer_offset
        WHEN q.max_offset <= g.consumer_offset THEN 0 END) AS backlog,
    count(*) AS queues, count(*) - count(q.max_offset) AS unknown_queues, g.dt
FROM (
    SELECT DISTINCT system, subject, consumer_group, broker_group, queue_id, sample_time, consumer_offset, dt
    FROM consumer_progress
    WHERE consumer_group <> '' AND consumer_offset IS NOT NULL
) g
LEFT JOIN (
    SELECT DISTINCT system, subject, broker_group, queue_id, sample_time, max_offset, dt
    FROM consumer_progress
    WHERE consumer_group = ''
) q
    ON q.system = g.system AND q.subject = g.subject AND q.broker_group = g.broker_group AND q.queue_id = g.queue_id
    AND q.sample_time = g.sample_time AND q.dt = g.dt
GROUP BY g.system, g.subject, g.consumer_group, g.broker_group, g.sample_time, g.dt;
