-- Messages under the names of OpenTelemetry's messaging conventions: normal ones, retries and dead letters.
CREATE VIEW otel_messages AS
SELECT
    system AS "messaging.system",
    subject AS "messaging.destination.name",
    CASE WHEN queue_id IS NULL THEN broker_group ELSE concat(broker_group, '/', queue_id) END
        AS "messaging.destination.partition.id",
    consumer_group AS "messaging.consumer.group.name",
    message_id AS "messaging.message.id",
    create_time AS "timestamp",
    dt,
    body_size AS "messaging.message.body.size",
    CASE WHEN system = 'rocketmq' THEN tags[1] END AS "messaging.rocketmq.message.tag",
    keys AS "messaging.rocketmq.message.keys",
    properties['__SHARDINGKEY'] AS "messaging.rocketmq.message.group"
FROM message
WHERE kind <= 2;
