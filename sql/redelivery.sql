-- Per day, subject and consumer group: retries and dead letters.
-- RocketMQ: they count for the topic of the original message.
CREATE VIEW redelivery AS
SELECT dt, subject, consumer_group, sum(retries) AS retries, sum(dead) AS dead_letters
FROM (
    SELECT dt, subject, consumer_group,
        CASE WHEN kind = 1 THEN 1 ELSE 0 END AS retries, CASE WHEN kind = 2 THEN 1 ELSE 0 END AS dead
    FROM message
    WHERE kind IN (1, 2) AND origin_subject IS NULL
    UNION ALL
    SELECT dt, origin_subject, consumer_group,
        CASE WHEN kind = 1 THEN 1 ELSE 0 END, CASE WHEN kind = 2 THEN 1 ELSE 0 END
    FROM message
    WHERE kind IN (1, 2) AND origin_subject IS NOT NULL
    UNION ALL
    SELECT dt, subject, consumer_group, 0, 1 FROM dead_message
)
GROUP BY dt, subject, consumer_group;
