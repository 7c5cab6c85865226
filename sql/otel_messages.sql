-- Messages under the names of OpenTelemetry's messaging conventions.
CREATE VIEW otel_messages AS
SELECT
    system AS "messaging.system",
    subject AS "messaging.destination.name",
    broker_group AS "messaging.destination.partition.id",
    consumer_group AS "messaging.consumer.group.name",
    message_id AS "messaging.message.id",
    create_time AS "timestamp",
    dt
FROM message;
