-- One row per message and consumer group: first pull, last ack, number of deliveries.
-- For retries the sequence is that of the group's retry queue.
CREATE VIEW consumption AS
SELECT
    system, subject, kind, broker_group, sequence, consumer_group,
    min(action_time) FILTER (WHERE action = 0) AS first_pull_time,
    max(action_time) FILTER (WHERE action = 0) AS last_pull_time,
    max(action_time) FILTER (WHERE action = 1) AS last_ack_time,
    count(*) FILTER (WHERE action = 0) AS pulls,
    count(*) FILTER (WHERE action = 1) AS acks
FROM record
WHERE action >= 0
GROUP BY system, subject, kind, broker_group, sequence, consumer_group;
