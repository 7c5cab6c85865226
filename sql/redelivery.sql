-- Per day, subject and consumer group: retries and dead letters.
CREATE VIEW redelivery AS
SELECT dt, subject, consumer_group, sum(retries) AS retries, sum(dead) AS dead_letters
FROM (
    SELECT dt, subject, consumer_group, 1 AS retries, 0 AS dead FROM message WHERE kind = 1
    UNION ALL
    SELECT dt, subject, consumer_group, 0 AS retries, 1 AS dead FROM dead_message
)
GROUP BY dt, subject, consumer_group;
