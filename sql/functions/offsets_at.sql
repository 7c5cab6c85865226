-- offsets_at(system, topic, time): the offsets of a time in each queue of a topic, by the broker's own rule.
-- lower_offset: the first message at or after the time, or the end of the queue.
-- upper_offset: the last message at or before the time, or the first known message.
SELECT broker_group, queue_id, coalesce(at_or_after, end_offset) AS lower_offset,
  coalesce(at_or_before, first_offset) AS upper_offset, first_offset, end_offset
FROM queues
