-- Pulls, acks and dead-letter markers with readable names.
CREATE VIEW records AS
SELECT
    system, subject,
    CASE kind WHEN 0 THEN 'normal' WHEN 1 THEN 'retry' WHEN 2 THEN 'dead' ELSE 'other' END AS kind,
    sequence, broker_group, consumer_group,
    CASE action WHEN 0 THEN 'pull' WHEN 1 THEN 'ack' WHEN -2 THEN 'dead' ELSE 'other' END AS action,
    action_time, consumer_id, dt
FROM record;
