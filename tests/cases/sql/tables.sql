-- What there is.
SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 2, 1;
-- > +-------------------+------------+
-- > | table_name        | table_type |
-- > +-------------------+------------+
-- > | consumer_progress | BASE TABLE |
-- > | content           | BASE TABLE |
-- > | dead_message      | BASE TABLE |
-- > | message           | BASE TABLE |
-- > | message_key       | BASE TABLE |
-- > | record            | BASE TABLE |
-- > | trace             | BASE TABLE |
-- > | unresolved_ack    | BASE TABLE |
-- > | consumer_backlog  | VIEW       |
-- > | consumer_latency  | VIEW       |
-- > | consumption       | VIEW       |
-- > | current_backlog   | VIEW       |
-- > | daily_volume      | VIEW       |
-- > | dead_letters      | VIEW       |
-- > | failed_sends      | VIEW       |
-- > | messages          | VIEW       |
-- > | otel_messages     | VIEW       |
-- > | records           | VIEW       |
-- > | redelivery        | VIEW       |
-- > | send_success      | VIEW       |
-- > | slow_consumers    | VIEW       |
-- > | trace_deliveries  | VIEW       |
-- > | trace_sends       | VIEW       |
-- > | unacknowledged    | VIEW       |
-- > +-------------------+------------+

-- Rows of every table.
SELECT 'message' AS name, count(*) AS n FROM message
UNION ALL SELECT 'dead_message', count(*) FROM dead_message
UNION ALL SELECT 'record', count(*) FROM record
UNION ALL SELECT 'content', count(*) FROM content
UNION ALL SELECT 'unresolved_ack', count(*) FROM unresolved_ack
ORDER BY name;
-- > +----------------+-------+
-- > | name           | n     |
-- > +----------------+-------+
-- > | content        | 10583 |
-- > | dead_message   | 122   |
-- > | message        | 10461 |
-- > | record         | 35880 |
-- > | unresolved_ack | 11    |
-- > +----------------+-------+

-- Columns and their types.
SELECT table_name, column_name, data_type, is_nullable
FROM information_schema.columns
WHERE table_name IN ('message', 'record')
ORDER BY table_name, ordinal_position;
-- > +------------+-----------------+-------------------------------------------------------------------------------------------+-------------+
-- > | table_name | column_name     | data_type                                                                                 | is_nullable |
-- > +------------+-----------------+-------------------------------------------------------------------------------------------+-------------+
-- > | message    | system          | Utf8View                                                                                  | NO          |
-- > | message    | subject         | Utf8View                                                                                  | NO          |
-- > | message    | kind            | Int8                                                                                      | NO          |
-- > | message    | consumer_group  | Utf8View                                                                                  | YES         |
-- > | message    | broker_group    | Utf8View                                                                                  | NO          |
-- > | message    | sequence        | Int64                                                                                     | NO          |
-- > | message    | message_id      | Utf8View                                                                                  | NO          |
-- > | message    | create_time     | Timestamp(ms, "UTC")                                                                      | NO          |
-- > | message    | store_time      | Timestamp(ms, "UTC")                                                                      | YES         |
-- > | message    | tags            | List(non-null Utf8, field: 'element')                                                     | YES         |
-- > | message    | queue_id        | Int32                                                                                     | YES         |
-- > | message    | origin_subject  | Utf8View                                                                                  | YES         |
-- > | message    | own_id          | Utf8View                                                                                  | YES         |
-- > | message    | keys            | List(non-null Utf8, field: 'element')                                                     | YES         |
-- > | message    | born_time       | Timestamp(ms, "UTC")                                                                      | YES         |
-- > | message    | born_host       | Utf8View                                                                                  | YES         |
-- > | message    | store_host      | Utf8View                                                                                  | YES         |
-- > | message    | body_size       | Int32                                                                                     | YES         |
-- > | message    | stored_size     | Int32                                                                                     | YES         |
-- > | message    | body_crc        | Int32                                                                                     | YES         |
-- > | message    | reconsume_times | Int32                                                                                     | YES         |
-- > | message    | flag            | Int32                                                                                     | YES         |
-- > | message    | sys_flag        | Int32                                                                                     | YES         |
-- > | message    | physical_offset | Int64                                                                                     | YES         |
-- > | message    | prepared_offset | Int64                                                                                     | YES         |
-- > | message    | properties      | Map("key_value": non-null Struct("key": non-null Utf8, "value": non-null Utf8), unsorted) | YES         |
-- > | message    | dt              | Date32                                                                                    | NO          |
-- > | record     | system          | Utf8View                                                                                  | NO          |
-- > | record     | subject         | Utf8View                                                                                  | NO          |
-- > | record     | kind            | Int8                                                                                      | NO          |
-- > | record     | sequence        | Int64                                                                                     | NO          |
-- > | record     | broker_group    | Utf8View                                                                                  | NO          |
-- > | record     | consumer_group  | Utf8View                                                                                  | NO          |
-- > | record     | action          | Int8                                                                                      | NO          |
-- > | record     | action_time     | Timestamp(ms, "UTC")                                                                      | NO          |
-- > | record     | consumer_id     | Utf8View                                                                                  | NO          |
-- > | record     | dt              | Date32                                                                                    | NO          |
-- > +------------+-----------------+-------------------------------------------------------------------------------------------+-------------+
