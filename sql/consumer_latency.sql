-- Per day, subject and consumer group: how long messages wait to be pulled and take to be acknowledged, in ms.
CREATE VIEW consumer_latency AS
SELECT
    m.dt, m.subject, c.consumer_group, count(*) AS messages,
    approx_percentile_cont(CAST(c.first_pull_time AS BIGINT) - CAST(m.create_time AS BIGINT), 0.5) AS wait_ms_p50,
    approx_percentile_cont(CAST(c.first_pull_time AS BIGINT) - CAST(m.create_time AS BIGINT), 0.99) AS wait_ms_p99,
    approx_percentile_cont(CAST(c.last_ack_time AS BIGINT) - CAST(c.first_pull_time AS BIGINT), 0.5) AS work_ms_p50,
    approx_percentile_cont(CAST(c.last_ack_time AS BIGINT) - CAST(c.first_pull_time AS BIGINT), 0.99) AS work_ms_p99
FROM message m
JOIN consumption c
    ON c.subject = m.subject AND c.kind = m.kind AND c.broker_group = m.broker_group AND c.sequence = m.sequence
WHERE m.kind = 0
GROUP BY m.dt, m.subject, c.consumer_group;
