-- Deliveries as consumers report them in their traces: one row per message and call of a listener.
-- Begin and end are reported apart and belong together by request and message id; either can be missing.
CREATE VIEW trace_deliveries AS
SELECT
    system, consumer_group, msg_id, request_id, client_host, begin_time,
    coalesce(
        end_time,
        arrow_cast(
            CAST(begin_time AS BIGINT) + CASE WHEN cost_time < 0 THEN 0 ELSE cost_time END,
            'Timestamp(Millisecond, Some("UTC"))'
        )
    ) AS end_time,
    CASE WHEN cost_time >= 0 THEN cost_time END AS cost_ms, success, context_code,
    CASE
        WHEN context_code = 1 THEN 'timed_out'
        WHEN context_code = 2 THEN 'exception'
        WHEN context_code = 3 THEN 'returned_null'
        WHEN context_code = 4 OR NOT success THEN 'failed'
        WHEN context_code = 0 OR success THEN 'success'
        ELSE 'unknown'
    END AS outcome,
    retry_times, dt
FROM (
    SELECT
        system, dt, msg_id, request_id, min(group_name) AS consumer_group, min(client_host) AS client_host,
        min(time_stamp) FILTER (WHERE trace_type = 'SubBefore') AS begin_time,
        max(time_stamp) FILTER (WHERE trace_type = 'SubAfter' AND CAST(time_stamp AS BIGINT) > 0) AS end_time,
        min(cost_time) AS cost_time, bool_and(success) AS success, max(context_code) AS context_code,
        min(retry_times) AS retry_times
    FROM trace
    WHERE trace_type IN ('SubBefore', 'SubAfter')
    -- without a request id a report belongs to no other
    GROUP BY system, dt, msg_id, request_id, CASE WHEN request_id IS NULL THEN concat(trace_type, time_stamp) END
);
