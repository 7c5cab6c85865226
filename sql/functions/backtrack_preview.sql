-- backtrack_preview(system, group, topic, time): what a group would consume again in each queue if it were set back
-- to a time. Where the group stands is what was sampled last; of QMQ, what it pulled.
WITH ends AS (
  SELECT broker_group, queue_id, min(CASE WHEN create_time >= $4 THEN sequence END) AS at_or_after,
    CASE WHEN min(physical_offset) IS NULL THEN max(sequence)
      ELSE last_value(sequence ORDER BY physical_offset, sequence) END + 1 AS end_offset,
    max(create_time) AS known_at
  FROM message
  WHERE system = $1 AND subject = $3 AND (system <> 'qmq' OR kind = 0)
  GROUP BY broker_group, queue_id
  UNION ALL
  SELECT broker_group, queue_id, NULL, last_value(max_offset ORDER BY sample_time), max(sample_time)
  FROM consumer_progress
  WHERE system = $1 AND subject = $3 AND consumer_group = '' AND max_offset IS NOT NULL
  GROUP BY broker_group, queue_id
),
-- a topic that was made again ends where it ends now
queues AS (
  SELECT broker_group, queue_id,
    least(coalesce(max(at_or_after), last_value(end_offset ORDER BY known_at)),
      last_value(end_offset ORDER BY known_at)) AS from_offset,
    last_value(end_offset ORDER BY known_at) AS end_offset
  FROM ends
  GROUP BY broker_group, queue_id
),
places AS (
  SELECT broker_group, queue_id,
    last_value(consumer_offset ORDER BY sample_time) FILTER (WHERE consumer_group = $2) AS consumer_offset,
    last_value(min_offset ORDER BY sample_time) FILTER (WHERE consumer_group = '') AS min_offset
  FROM consumer_progress
  WHERE system = $1 AND subject = $3 AND consumer_group IN ('', $2)
  GROUP BY broker_group, queue_id
  UNION ALL
  SELECT broker_group, NULL, max(sequence) + 1, NULL
  FROM record
  WHERE system = $1 AND system = 'qmq' AND subject = $3 AND kind = 0 AND consumer_group = $2
  GROUP BY broker_group
),
windows AS (
  SELECT q.broker_group, q.queue_id, q.from_offset, q.end_offset,
    coalesce(p.consumer_offset, q.end_offset) AS to_offset,
    p.consumer_offset IS NOT NULL AS to_is_known, p.min_offset AS broker_first_offset
  FROM queues q
    LEFT JOIN places p
      ON p.broker_group = q.broker_group AND coalesce(p.queue_id, -1) = coalesce(q.queue_id, -1)
),
traced AS (
  SELECT msg_id
  FROM trace
  WHERE system = $1 AND trace_type = 'SubAfter' AND success AND group_name = $2
  UNION
  -- old clients tell the group at the begin of a delivery only
  SELECT a.msg_id
  FROM trace a JOIN trace b ON b.request_id = a.request_id AND b.msg_id = a.msg_id
  WHERE a.system = $1 AND a.trace_type = 'SubAfter' AND a.success AND a.group_name IS NULL
    AND b.system = $1 AND b.trace_type = 'SubBefore' AND b.group_name = $2
),
acknowledged AS (
  SELECT DISTINCT broker_group, sequence
  FROM record
  WHERE system = $1 AND system = 'qmq' AND subject = $3 AND kind = 0 AND consumer_group = $2 AND action = 1
),
-- of messages that had an offset one after the other, the one that has it now
present AS (
  SELECT m.system, w.broker_group, coalesce(w.queue_id, -1) AS queue, m.sequence,
    last_value(m.message_id ORDER BY m.create_time) AS message_id,
    max(w.broker_first_offset) AS broker_first_offset
  FROM message m
    JOIN windows w
      ON w.broker_group = m.broker_group AND coalesce(w.queue_id, -1) = coalesce(m.queue_id, -1)
  WHERE m.system = $1 AND m.subject = $3 AND (m.system <> 'qmq' OR m.kind = 0)
    AND m.sequence >= w.from_offset AND m.sequence < least(w.to_offset, w.end_offset)
  GROUP BY m.system, w.broker_group, coalesce(w.queue_id, -1), m.sequence
),
again AS (
  SELECT m.broker_group, m.queue, count(*) AS messages,
    count(CASE WHEN t.msg_id IS NOT NULL OR a.sequence IS NOT NULL THEN 1 END) AS consumed,
    count(CASE WHEN m.sequence < m.broker_first_offset THEN 1 END) AS gone
  FROM present m
    LEFT JOIN traced t ON m.system <> 'qmq' AND t.msg_id = m.message_id
    LEFT JOIN acknowledged a
      ON m.system = 'qmq' AND a.broker_group = m.broker_group AND a.sequence = m.sequence
  GROUP BY m.broker_group, m.queue
)
SELECT w.broker_group, w.queue_id, w.from_offset, w.to_offset, w.to_is_known, w.broker_first_offset,
  coalesce(n.messages, 0) AS messages, coalesce(n.consumed, 0) AS consumed, coalesce(n.gone, 0) AS gone
FROM windows w
  LEFT JOIN again n ON n.broker_group = w.broker_group AND n.queue = coalesce(w.queue_id, -1)
