-- Per day and subject: messages, retries, dead letters, pulls and acks.
-- RocketMQ: retries and dead letters count for the topic of the original message; other copies do not count.
CREATE VIEW daily_volume AS
SELECT
    dt, subject, sum(messages) AS messages, sum(retries) AS retries, sum(dead) AS dead_letters,
    sum(pulls) AS pulls, sum(acks) AS acks
FROM (
    SELECT dt, subject,
        CASE WHEN kind = 0 THEN 1 ELSE 0 END AS messages, CASE WHEN kind = 1 THEN 1 ELSE 0 END AS retries,
        CASE WHEN kind = 2 THEN 1 ELSE 0 END AS dead, 0 AS pulls, 0 AS acks
    FROM message
    WHERE kind = 0 OR (kind IN (1, 2) AND origin_subject IS NULL)
    UNION ALL
    SELECT dt, origin_subject, 0, CASE WHEN kind = 1 THEN 1 ELSE 0 END, CASE WHEN kind = 2 THEN 1 ELSE 0 END, 0, 0
    FROM message
    WHERE kind IN (1, 2) AND origin_subject IS NOT NULL
    UNION ALL
    SELECT dt, subject, 0, 0, 1, 0, 0 FROM dead_message
    UNION ALL
    SELECT dt, subject, 0, 0, 0, CASE WHEN action = 0 THEN 1 ELSE 0 END, CASE WHEN action = 1 THEN 1 ELSE 0 END
    FROM record
)
GROUP BY dt, subject;
