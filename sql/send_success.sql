-- Per day, topic and producer group: sends, how many of them succeeded, and how long they took, in ms.
-- A batch is one send.
CREATE VIEW send_success AS
SELECT
    dt, topic, producer_group, count(*) AS sends,
    avg(CASE WHEN success THEN 1.0 WHEN NOT success THEN 0.0 END) AS success_rate,
    approx_percentile_cont(cost_ms, 0.5) AS cost_ms_p50,
    approx_percentile_cont(cost_ms, 0.95) AS cost_ms_p95,
    approx_percentile_cont(cost_ms, 0.99) AS cost_ms_p99,
    max(cost_ms) AS slowest_ms
FROM trace_sends
WHERE batch_place = 0
GROUP BY dt, topic, producer_group;
