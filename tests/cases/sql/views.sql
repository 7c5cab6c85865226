-- Every view answers.
SELECT kind, count(*) AS n FROM messages GROUP BY kind ORDER BY kind;
-- > +--------+------+
-- > | kind   | n    |
-- > +--------+------+
-- > | normal | 9378 |
-- > | retry  | 1083 |
-- > +--------+------+

SELECT kind, action, count(*) AS n FROM records GROUP BY kind, action ORDER BY kind, action;
-- > +--------+--------+-------+
-- > | kind   | action | n     |
-- > +--------+--------+-------+
-- > | dead   | dead   | 122   |
-- > | normal | ack    | 16760 |
-- > | normal | pull   | 16841 |
-- > | retry  | ack    | 1074  |
-- > | retry  | pull   | 1083  |
-- > +--------+--------+-------+

-- A dead letter with what was in it.
SELECT consumer_group, broker_group, sequence, message_id, body_size, attributes['qmq_times'] AS times
FROM dead_letters WHERE subject = 'dead.end' ORDER BY create_time LIMIT 3;
-- > +----------------+--------------+----------+-------------------------------------+-----------+-------+
-- > | consumer_group | broker_group | sequence | message_id                          | body_size | times |
-- > +----------------+--------------+----------+-------------------------------------+-----------+-------+
-- > | report         | bg2          | 0        | 240520.062738.10.2.108.68.9081.52   | 134       | 4     |
-- > | report         | bg2          | 1        | 240520.071702.10.0.243.190.25864.92 | 164       | 4     |
-- > | notify         | bg2          | 0        | 240520.071703.10.1.179.44.1657.99   | 135       | 4     |
-- > +----------------+--------------+----------+-------------------------------------+-----------+-------+

-- Where is this message, who consumed it?
SELECT consumer_group, first_pull_time, last_ack_time, pulls, acks
FROM consumption WHERE subject = 'order.paid' AND broker_group = 'bg1' AND kind = 0 AND sequence = 106
ORDER BY consumer_group;
-- > +----------------+--------------------------+--------------------------+-------+------+
-- > | consumer_group | first_pull_time          | last_ack_time            | pulls | acks |
-- > +----------------+--------------------------+--------------------------+-------+------+
-- > | archive_2      | 2024-05-26T12:58:44.189Z | 2024-05-26T12:58:44.589Z | 1     | 1    |
-- > | notify         | 2024-05-26T12:58:42.369Z | 2024-05-26T12:58:42.471Z | 1     | 1    |
-- > +----------------+--------------------------+--------------------------+-------+------+

SELECT subject, consumer_group, count(*) AS n FROM unacknowledged
GROUP BY subject, consumer_group ORDER BY n DESC, subject, consumer_group LIMIT 5;
-- > +----------------+----------------+----+
-- > | subject        | consumer_group | n  |
-- > +----------------+----------------+----+
-- > | dup.ids        | notify         | 12 |
-- > | coupon.granted | report         | 10 |
-- > | price.changed  | report         | 7  |
-- > | delay.due      | archive_2      | 6  |
-- > | dup.ids        | settle         | 5  |
-- > +----------------+----------------+----+

SELECT subject, sum(retries) AS retries, sum(dead_letters) AS dead_letters
FROM redelivery GROUP BY subject ORDER BY retries DESC, subject LIMIT 5;
-- > +---------------+---------+--------------+
-- > | subject       | retries | dead_letters |
-- > +---------------+---------+--------------+
-- > | retry.storm   | 471     | 46           |
-- > | dead.end      | 353     | 76           |
-- > | price.changed | 64      | 0            |
-- > | dup.ids       | 37      | 0            |
-- > | tag.filtered  | 36      | 0            |
-- > +---------------+---------+--------------+

SELECT dt, sum(messages) AS messages, sum(retries) AS retries, sum(dead_letters) AS dead, sum(pulls) AS pulls, sum(acks) AS acks
FROM daily_volume GROUP BY dt ORDER BY dt;
-- > +------------+----------+---------+------+-------+------+
-- > | dt         | messages | retries | dead | pulls | acks |
-- > +------------+----------+---------+------+-------+------+
-- > | 2024-04-12 | 1        | 0       | 0    | 0     | 0    |
-- > | 2024-04-13 | 2        | 1       | 0    | 0     | 0    |
-- > | 2024-05-19 | 132      | 53      | 10   | 286   | 285  |
-- > | 2024-05-20 | 1272     | 143     | 19   | 2445  | 2434 |
-- > | 2024-05-21 | 1324     | 186     | 22   | 2628  | 2611 |
-- > | 2024-05-22 | 1265     | 147     | 11   | 2435  | 2426 |
-- > | 2024-05-23 | 1563     | 134     | 5    | 2876  | 2863 |
-- > | 2024-05-24 | 1289     | 143     | 23   | 2444  | 2416 |
-- > | 2024-05-25 | 1305     | 129     | 13   | 2457  | 2449 |
-- > | 2024-05-26 | 1225     | 147     | 19   | 2353  | 2350 |
-- > +------------+----------+---------+------+-------+------+

SELECT count(*) AS n FROM consumer_latency WHERE wait_ms_p50 >= 0;
-- > +-----+
-- > | n   |
-- > +-----+
-- > | 431 |
-- > +-----+

SELECT "messaging.system", count(*) AS n FROM otel_messages GROUP BY 1;
-- > +------------------+-------+
-- > | messaging.system | n     |
-- > +------------------+-------+
-- > | qmq              | 10461 |
-- > +------------------+-------+
