-- offsets_at(system, topic, time): where a time lies in each queue of a topic, by the broker's own rule.
-- lower_offset: the first message at or after the time, or the end of the queue.
-- upper_offset: the last message at or before the time, or the first one that is known.
-- A topic that was deleted and made again, or whose end a broker lost, uses offsets again. Then those of now count: the
-- newest record says where the queue ends, and what lies behind a later message with a smaller offset is gone.
SELECT
  broker_group,
  queue_id,
  least(coalesce(max(at_or_after), last_value(end_offset ORDER BY known_at)),
    last_value(end_offset ORDER BY known_at)) AS lower_offset,
  coalesce(max(at_or_before), min(first_offset)) AS upper_offset,
  min(first_offset) AS first_offset,
  last_value(end_offset ORDER BY known_at) AS end_offset
FROM (
  SELECT
    broker_group,
    queue_id,
    at_or_after,
    CASE WHEN is_dense OR last_before < least_after OR least_after IS NULL THEN
      CASE WHEN is_dense THEN greatest_before ELSE last_before END
    END AS at_or_before,
    first_offset,
    end_offset,
    known_at
  FROM (
    SELECT
      broker_group,
      queue_id,
      min(CASE WHEN create_time >= $3 THEN sequence END) AS at_or_after,
      max(CASE WHEN create_time <= $3 THEN sequence END) AS greatest_before,
      min(CASE WHEN create_time > $3 THEN sequence END) AS least_after,
      last_value(sequence ORDER BY physical_offset, sequence) FILTER (WHERE create_time <= $3) AS last_before,
      min(sequence) AS first_offset,
      CASE WHEN min(physical_offset) IS NULL THEN max(sequence)
        ELSE last_value(sequence ORDER BY physical_offset, sequence) END + 1 AS end_offset,
      min(physical_offset) IS NULL OR (count(*) = max(sequence) - min(sequence) + 1
        AND max(sequence) = last_value(sequence ORDER BY physical_offset, sequence)) AS is_dense,
      max(create_time) AS known_at
    FROM message
    -- retries of QMQ have numbers of their own
    WHERE system = $1 AND subject = $2 AND (system <> 'qmq' OR kind = 0)
    GROUP BY broker_group, queue_id
  )
  UNION ALL
  -- a queue whose messages are not known ends where its broker said
  SELECT broker_group, queue_id, NULL, NULL, last_value(max_offset ORDER BY sample_time),
    last_value(max_offset ORDER BY sample_time), max(sample_time)
  FROM consumer_progress
  WHERE system = $1 AND subject = $2 AND consumer_group = '' AND max_offset IS NOT NULL
  GROUP BY broker_group, queue_id
)
GROUP BY broker_group, queue_id
