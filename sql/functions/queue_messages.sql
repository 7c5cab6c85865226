-- LATER-WINS. Messages of a topic with their offsets: the first part of every function in this folder. A topic can be
-- deleted and created again, and a broker can lose the end of a queue, so an offset can have been used more than once:
-- `is_past` marks messages that a later message has replaced. Most queues have none; their counts and sums prove it.
WITH known AS (
  SELECT broker_group, queue_id, sequence, message_id, create_time, physical_offset
  FROM message
  -- QMQ: retries have sequences of their own. RocketMQ: prepared and rolled-back records of the oldest brokers have no
  -- queue offset
  WHERE system = $system AND subject = $topic AND (system <> 'qmq' OR kind = 0)
    AND (sys_flag IS NULL OR (sys_flag & 12) NOT IN (4, 12))
),
mixed AS (
  SELECT broker_group, queue_id
  FROM known
  WHERE $system <> 'qmq'
  GROUP BY broker_group, queue_id
  HAVING count(*) <> max(sequence) - min(sequence) + 1
    OR 2 * sum(sequence) <> count(*) * (max(sequence) + min(sequence))
    OR last_value(sequence ORDER BY physical_offset, sequence) <> max(sequence)
),
-- if an older message with the same queue offset has the same or a greater physical offset, the log itself was
-- rewritten, and only the time says what came later; otherwise the physical offset does, whatever the clock showed
written AS (
  SELECT k.broker_group, k.queue_id, k.sequence, k.message_id, k.create_time, k.physical_offset,
    CASE WHEN lag(k.physical_offset) OVER (
      PARTITION BY k.broker_group, k.queue_id, k.sequence ORDER BY k.create_time, k.physical_offset
    ) >= k.physical_offset THEN 1 ELSE 0 END AS is_rewritten
  FROM known k JOIN mixed x ON x.broker_group = k.broker_group AND x.queue_id = k.queue_id
),
ordered AS (
  SELECT broker_group, queue_id, sequence, message_id, create_time, physical_offset,
    CASE WHEN max(is_rewritten) OVER (PARTITION BY broker_group, queue_id) = 1
      THEN CAST(create_time AS BIGINT) ELSE physical_offset END AS written_at
  FROM written
),
followed AS (
  SELECT broker_group, queue_id, sequence, message_id, create_time,
    min(sequence) OVER (
      PARTITION BY broker_group, queue_id ORDER BY written_at DESC, physical_offset DESC, sequence DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS least_later
  FROM ordered
),
placed AS (
  SELECT broker_group, queue_id, sequence, message_id, create_time,
    least_later IS NOT NULL AND sequence >= least_later AS is_past
  FROM followed
  UNION ALL
  SELECT k.broker_group, k.queue_id, k.sequence, k.message_id, k.create_time, FALSE
  FROM known k
  WHERE NOT EXISTS (SELECT 1 FROM mixed x WHERE x.broker_group = k.broker_group AND x.queue_id = k.queue_id)
),
-- the latest sample of each queue
sampled AS (
  SELECT broker_group, queue_id, last_value(max_offset ORDER BY sample_time) AS max_offset,
    max(sample_time) AS sample_time
  FROM consumer_progress
  WHERE system = $system AND subject = $topic AND consumer_group = '' AND max_offset IS NOT NULL
  GROUP BY broker_group, queue_id
),
bounds AS (
  SELECT broker_group, queue_id,
    min(CASE WHEN create_time >= $time THEN sequence END) FILTER (WHERE NOT is_past) AS at_or_after,
    max(CASE WHEN create_time <= $time THEN sequence END) FILTER (WHERE NOT is_past) AS at_or_before,
    min(sequence) FILTER (WHERE NOT is_past) AS first_offset,
    max(sequence) FILTER (WHERE NOT is_past) + 1 AS end_offset,
    max(create_time) AS newest, bool_or(is_past) AS has_past, NULL AS sampled_end, NULL AS sample_time
  FROM placed
  GROUP BY broker_group, queue_id
  UNION ALL
  SELECT broker_group, queue_id, NULL, NULL, NULL, NULL, NULL, FALSE, max_offset, sample_time
  FROM sampled
),
-- a queue without known messages ends where its latest sample says; once offsets were reused, older samples do not count
queues AS (
  SELECT broker_group, queue_id, max(at_or_after) AS at_or_after, max(at_or_before) AS at_or_before,
    coalesce(min(first_offset), max(sampled_end)) AS first_offset,
    CASE WHEN bool_or(has_past) AND max(sample_time) < max(newest) THEN max(end_offset)
      ELSE greatest(max(end_offset), max(sampled_end)) END AS end_offset,
    bool_or(has_past) AS has_past
  FROM bounds
  GROUP BY broker_group, queue_id
)
