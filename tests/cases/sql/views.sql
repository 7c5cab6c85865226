-- Every view answers.
SELECT kind, count(*) AS n FROM messages GROUP BY kind ORDER BY kind;

SELECT kind, action, count(*) AS n FROM records GROUP BY kind, action ORDER BY kind, action;

-- A dead letter with what was in it.
SELECT consumer_group, broker_group, sequence, message_id, body_size, attributes['qmq_times'] AS times
FROM dead_letters WHERE subject = 'dead.end' ORDER BY create_time LIMIT 3;

-- Where is this message, who consumed it?
SELECT consumer_group, first_pull_time, last_ack_time, pulls, acks
FROM consumption WHERE subject = 'order.paid' AND broker_group = 'bg1' AND kind = 0 AND sequence = 106
ORDER BY consumer_group;

SELECT subject, consumer_group, count(*) AS n FROM unacknowledged
GROUP BY subject, consumer_group ORDER BY n DESC, subject, consumer_group LIMIT 5;

SELECT subject, sum(retries) AS retries, sum(dead_letters) AS dead_letters
FROM redelivery GROUP BY subject ORDER BY retries DESC, subject LIMIT 5;

SELECT dt, sum(messages) AS messages, sum(retries) AS retries, sum(dead_letters) AS dead, sum(pulls) AS pulls, sum(acks) AS acks
FROM daily_volume GROUP BY dt ORDER BY dt;

SELECT count(*) AS n FROM consumer_latency WHERE wait_ms_p50 >= 0;

SELECT "messaging.system", count(*) AS n FROM otel_messages GROUP BY 1;
