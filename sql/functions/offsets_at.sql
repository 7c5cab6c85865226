-- offsets_at(system, topic, time): where a time lies in each queue of a topic, by the broker's own rule.
-- lower_offset: the first message at or after the time, or the end of the queue.
-- upper_offset: the last message at or before the time, or the first one that is known.
SELECT
  broker_group,
  queue_id,
  coalesce(max(at_or_after), max(end_offset)) AS lower_offset,
  coalesce(max(at_or_before), min(first_offset)) AS upper_offset,
  min(first_offset) AS first_offset,
  max(end_offset) AS end_offset
FROM (
  SELECT
    broker_group,
    queue_id,
    min(CASE WHEN create_time >= $3 THEN sequence END) AS at_or_after,
    max(CASE WHEN create_time <= $3 THEN sequence END) AS at_or_before,
    min(sequence) AS first_offset,
    max(sequence) + 1 AS end_offset
  FROM message
  -- retries of QMQ have numbers of their own
  WHERE system = $1 AND subject = $2 AND (system <> 'qmq' OR kind = 0)
  GROUP BY broker_group, queue_id
  UNION ALL
  -- a queue whose messages are not known ends where its broker said
  SELECT broker_group, queue_id, NULL, NULL, max(max_offset), max(max_offset)
  FROM consumer_progress
  WHERE system = $1 AND subject = $2 AND consumer_group = '' AND max_offset IS NOT NULL
  GROUP BY broker_group, queue_id
)
GROUP BY broker_group, queue_id
