-- Per day and consumer group: how many deliveries ended, how many of them succeeded, and how long they took, in ms.
CREATE VIEW slow_consumers AS
SELECT
    dt, consumer_group, count(success) AS deliveries, count(*) - count(success) AS unfinished,
    avg(CASE WHEN success THEN 1.0 WHEN NOT success THEN 0.0 END) AS success_rate,
    approx_percentile_cont(cost_ms, 0.5) AS cost_ms_p50,
    approx_percentile_cont(cost_ms, 0.95) AS cost_ms_p95,
    approx_percentile_cont(cost_ms, 0.99) AS cost_ms_p99,
    max(cost_ms) AS slowest_ms,
    first_value(msg_id ORDER BY cost_ms DESC NULLS LAST, msg_id) AS slowest_msg_id
FROM trace_deliveries
GROUP BY dt, consumer_group;
