-- Sends that a broker answered with anything but success. A send without an answer is in no trace.
CREATE VIEW failed_sends AS
SELECT
    system, send_time, topic, msg_id, producer_group, client_host, store_host, cost_ms, message_type, offset_msg_id,
    keys, tags, body_length, batch_place, dt
FROM trace_sends
WHERE success = FALSE;
