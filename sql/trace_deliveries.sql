-- Deliveries as consumers report them in their traces: one row per message and call of a listener.
-- Begin and end are reported separately, possibly on different days, and are joined by request id and message id. One
-- of them can be missing. `dt` is the day of the begin, or of the end if there is no begin. A begin without an end on
-- the same day, and the reverse, is joined by its ids with other days, so that a condition on `dt` still prunes whole
-- files.
CREATE VIEW trace_deliveries AS
WITH days AS (
    SELECT
        system, dt, msg_id, request_id, min(group_name) AS consumer_group,
        -- the address in the event, which few clients report, else that of the trace message
        coalesce(min(client_host) FILTER (WHERE trace_type = 'SubBefore'), min(client_host)) AS client_host,
        min(time_stamp) FILTER (WHERE trace_type = 'SubBefore') AS begin_time,
        max(time_stamp) FILTER (WHERE trace_type = 'SubAfter' AND CAST(time_stamp AS BIGINT) > 0) AS end_time,
        min(cost_time) AS cost_time, bool_and(success) AS success, max(context_code) AS context_code,
        min(retry_times) AS retry_times, bool_or(trace_type = 'SubBefore') AS has_begin,
        bool_or(trace_type = 'SubAfter') AS has_end
    FROM trace
    WHERE trace_type IN ('SubBefore', 'SubAfter')
    -- a report without a request id cannot be joined with another
    GROUP BY system, dt, msg_id, request_id, CASE WHEN request_id IS NULL THEN concat(trace_type, time_stamp) END
),
calls AS (
    SELECT
        system, dt, msg_id, request_id, consumer_group, client_host, begin_time, end_time, cost_time, success,
        context_code, retry_times
    FROM days
    WHERE (has_begin AND has_end) OR request_id IS NULL
    UNION ALL
    SELECT
        b.system, b.dt, b.msg_id, b.request_id, min(coalesce(b.consumer_group, e.group_name)), min(b.client_host),
        min(b.begin_time), max(e.time_stamp) FILTER (WHERE CAST(e.time_stamp AS BIGINT) > 0), min(e.cost_time),
        bool_and(e.success), max(e.context_code), min(b.retry_times)
    FROM days b
    LEFT JOIN trace e
        ON e.msg_id = b.msg_id AND e.request_id = b.request_id AND e.system = b.system AND e.trace_type = 'SubAfter'
    WHERE b.has_begin AND NOT b.has_end AND b.request_id IS NOT NULL
    GROUP BY b.system, b.dt, b.msg_id, b.request_id
    UNION ALL
    SELECT
        e.system, e.dt, e.msg_id, e.request_id, e.consumer_group, e.client_host, e.begin_time, e.end_time, e.cost_time,
        e.success, e.context_code, e.retry_times
    FROM days e
    LEFT ANTI JOIN trace b
        ON b.msg_id = e.msg_id AND b.request_id = e.request_id AND b.system = e.system AND b.trace_type = 'SubBefore'
    WHERE NOT e.has_begin AND e.request_id IS NOT NULL
)
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
FROM calls;
