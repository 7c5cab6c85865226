-- backtrack_preview(system, group, topic, time): what a group would consume again in each queue if it were set back
-- to a time. The position of the group comes from the latest sample; for QMQ, from its pulls.
, live AS (
  -- current positions that brokers report, a line each: broker, queue, position of the group, begin of the queue
  SELECT split_part(line, chr(9), 1) AS broker_group,
    CAST(split_part(line, chr(9), 2) AS INT) AS queue_id,
    CAST(nullif(split_part(line, chr(9), 3), '') AS BIGINT) AS consumer_offset,
    CAST(nullif(split_part(line, chr(9), 4), '') AS BIGINT) AS min_offset
  FROM (SELECT unnest(string_to_array(CAST($live AS VARCHAR), chr(10))) AS line)
  WHERE line <> ''
),
stored_positions AS (
  SELECT broker_group, queue_id,
    last_value(consumer_offset ORDER BY sample_time) FILTER (WHERE consumer_group <> '') AS consumer_offset,
    last_value(min_offset ORDER BY sample_time) FILTER (WHERE consumer_group = '') AS min_offset
  FROM consumer_progress
  WHERE system = $system AND subject = $topic AND consumer_group IN ('', $group, $whole_group)
  GROUP BY broker_group, queue_id
  UNION ALL
  SELECT broker_group, NULL, max(sequence) + 1, NULL
  FROM record
  WHERE system = $system AND system = 'qmq' AND subject = $topic AND kind = 0 AND consumer_group = $group
  GROUP BY broker_group
),
positions AS (
  SELECT q.broker_group, q.queue_id, q.end_offset, q.has_past,
    coalesce(q.at_or_after, q.end_offset) AS from_offset,
    coalesce(l.consumer_offset, p.consumer_offset) AS consumer_offset,
    coalesce(l.min_offset, p.min_offset) AS broker_first_offset
  FROM queues q
    LEFT JOIN stored_positions p
      ON p.broker_group = q.broker_group AND coalesce(p.queue_id, -1) = coalesce(q.queue_id, -1)
    LEFT JOIN live l ON l.broker_group = q.broker_group AND l.queue_id = q.queue_id
),
-- after offsets were reused, a position behind the end of the queue is from before and does not count
windows AS (
  SELECT broker_group, queue_id, from_offset, broker_first_offset,
    CASE WHEN consumer_offset IS NULL OR (has_past AND consumer_offset > end_offset) THEN end_offset
      ELSE consumer_offset END AS to_offset,
    consumer_offset IS NOT NULL AND NOT (has_past AND consumer_offset > end_offset) AS to_is_known
  FROM positions
),
-- messages that the group reported in its traces, which name it without a namespace
calls AS (
  SELECT msg_id, max(is_done) AS is_done
  FROM (
    SELECT msg_id, CASE WHEN trace_type = 'SubAfter' AND success THEN 1 ELSE 0 END AS is_done
    FROM trace
    WHERE system = $system AND trace_type IN ('SubBefore', 'SubAfter')
      AND group_name IN ($group, $whole_group, $bare_group)
    UNION ALL
    -- old clients report the group only at the begin of a delivery
    SELECT a.msg_id, 1
    FROM trace a JOIN trace b ON b.request_id = a.request_id AND b.msg_id = a.msg_id
    WHERE a.system = $system AND a.trace_type = 'SubAfter' AND a.success AND a.group_name IS NULL
      AND b.system = $system AND b.trace_type = 'SubBefore'
      AND b.group_name IN ($group, $whole_group, $bare_group)
  )
  GROUP BY msg_id
),
acknowledged AS (
  SELECT DISTINCT broker_group, sequence
  FROM record
  WHERE system = $system AND system = 'qmq' AND subject = $topic AND kind = 0 AND consumer_group = $group
    AND action = 1
),
counted AS (
  SELECT w.broker_group, w.queue_id, w.from_offset, w.to_offset, w.to_is_known, w.broker_first_offset,
    count(m.sequence) AS messages, count(CASE WHEN m.sequence IS NOT NULL THEN c.msg_id END) AS traced,
    count(CASE WHEN m.sequence IS NOT NULL AND (c.is_done = 1 OR a.sequence IS NOT NULL) THEN 1 END) AS done,
    count(CASE WHEN m.sequence < w.broker_first_offset THEN 1 END) AS gone
  FROM windows w
    LEFT JOIN placed m
      ON m.broker_group = w.broker_group AND coalesce(m.queue_id, -1) = coalesce(w.queue_id, -1)
        AND m.sequence >= w.from_offset AND m.sequence < w.to_offset AND NOT m.is_past
    LEFT JOIN calls c ON c.msg_id = m.message_id
    LEFT JOIN acknowledged a ON a.broker_group = m.broker_group AND a.sequence = m.sequence
  GROUP BY w.broker_group, w.queue_id, w.from_offset, w.to_offset, w.to_is_known, w.broker_first_offset
),
with_traces AS (
  SELECT broker_group, queue_id, from_offset, to_offset, to_is_known, broker_first_offset, messages, done, gone,
    sum(traced) OVER () > 0 AS has_traces
  FROM counted
)
-- a group without traces has consumed everything before its position; whether that succeeded is unknown
SELECT broker_group, queue_id, from_offset, to_offset, to_is_known, broker_first_offset, messages,
  CASE
    WHEN messages = 0 THEN 0
    WHEN $system = 'qmq' THEN CASE WHEN to_is_known THEN done END
    WHEN has_traces THEN done
    WHEN to_is_known THEN messages
  END AS consumed,
  CASE WHEN broker_first_offset IS NOT NULL OR messages = 0 THEN gone END AS gone,
  CASE
    WHEN messages = 0 THEN NULL
    WHEN $system = 'qmq' THEN CASE WHEN to_is_known THEN 'acks' END
    WHEN has_traces THEN 'traces'
    WHEN to_is_known THEN 'offsets'
  END AS consumed_by,
  CASE WHEN to_offset > from_offset THEN to_offset - from_offset - messages ELSE 0 END AS not_kept
FROM with_traces
