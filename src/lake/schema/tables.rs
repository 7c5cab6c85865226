//! The eight tables, column by column. Only definitions; the types are explained in [`super`].

use super::{Column, ColumnType, Encoding, SortKey, TableDef};

use ColumnType::{Binary, Bool, Int8, Int32, Int64, Text, TextList, TextMap, Time};
use Encoding::{Delta, DeltaText, Dictionary, Document, Plain};

const fn column(name: &'static str, column_type: ColumnType, encoding: Encoding) -> Column {
    Column { name, column_type, nullable: false, encoding, bloom: false }
}

const fn nullable(column: Column) -> Column {
    Column { nullable: true, ..column }
}

const fn bloom(column: Column) -> Column {
    Column { bloom: true, ..column }
}

const fn ascending(column: &'static str) -> SortKey {
    SortKey { column, descending: false }
}

const fn descending(column: &'static str) -> SortKey {
    SortKey { column, descending: true }
}

/// One row: one message in a broker, normal or retry.
pub static MESSAGE: TableDef = TableDef {
    name: "message",
    columns: &[
        column("system", Text, Dictionary),
        column("subject", Text, Dictionary),
        column("kind", Int8, Delta),
        nullable(column("consumer_group", Text, Dictionary)),
        column("broker_group", Text, Dictionary),
        column("sequence", Int64, Delta),
        bloom(column("message_id", Text, DeltaText)),
        column("create_time", Time, Delta),
        nullable(column("store_time", Time, Delta)),
        nullable(column("tags", TextList, Dictionary)),
        // RocketMQ only, up to `properties`
        nullable(column("queue_id", Int32, Delta)),
        nullable(column("origin_subject", Text, Dictionary)),
        nullable(column("own_id", Text, DeltaText)),
        nullable(column("keys", TextList, DeltaText)),
        nullable(column("born_time", Time, Delta)),
        nullable(column("born_host", Text, Dictionary)),
        nullable(column("store_host", Text, Dictionary)),
        nullable(column("body_size", Int32, Delta)),
        nullable(column("stored_size", Int32, Delta)),
        nullable(column("body_crc", Int32, Delta)),
        nullable(column("reconsume_times", Int32, Delta)),
        nullable(column("flag", Int32, Delta)),
        nullable(column("sys_flag", Int32, Delta)),
        nullable(column("physical_offset", Int64, Delta)),
        nullable(column("prepared_offset", Int64, Delta)),
        nullable(column("properties", TextMap, Document)),
    ],
    sort: &[ascending("subject"), descending("create_time")],
    time_column: "create_time",
    is_read_by_row: true,
    is_merged_by_day: false,
    row_bytes_hint: 14,
};

/// One row: one dead letter.
pub static DEAD_MESSAGE: TableDef = TableDef {
    name: "dead_message",
    columns: &[
        column("system", Text, Dictionary),
        column("subject", Text, Dictionary),
        column("consumer_group", Text, Dictionary),
        column("broker_group", Text, Dictionary),
        column("sequence", Int64, Delta),
        bloom(column("message_id", Text, DeltaText)),
        column("create_time", Time, Delta),
        nullable(column("store_time", Time, Delta)),
        nullable(column("tags", TextList, Dictionary)),
    ],
    sort: &[ascending("subject"), ascending("consumer_group"), descending("create_time")],
    time_column: "create_time",
    is_read_by_row: false,
    is_merged_by_day: false,
    row_bytes_hint: 16,
};

/// One row: one pull or ack of one message by one consumer, or the marker of a dead letter.
pub static RECORD: TableDef = TableDef {
    name: "record",
    columns: &[
        column("system", Text, Dictionary),
        column("subject", Text, Dictionary),
        column("kind", Int8, Delta),
        column("sequence", Int64, Delta),
        column("broker_group", Text, Dictionary),
        column("consumer_group", Text, Dictionary),
        column("action", Int8, Delta),
        column("action_time", Time, Delta),
        column("consumer_id", Text, Dictionary),
    ],
    sort: &[
        ascending("subject"),
        ascending("kind"),
        ascending("sequence"),
        ascending("broker_group"),
        ascending("consumer_group"),
    ],
    time_column: "action_time",
    is_read_by_row: false,
    is_merged_by_day: false,
    row_bytes_hint: 3,
};

/// One row: the content of one message.
pub static CONTENT: TableDef = TableDef {
    name: "content",
    columns: &[
        column("system", Text, Dictionary),
        column("subject", Text, Dictionary),
        column("kind", Int8, Delta),
        nullable(column("consumer_group", Text, Dictionary)),
        column("broker_group", Text, Dictionary),
        column("sequence", Int64, Delta),
        column("message_id", Text, DeltaText),
        column("create_time", Time, Delta),
        nullable(column("store_time", Time, Delta)),
        column("payload_subject", Text, Dictionary),
        column("flags", Int8, Delta),
        nullable(column("expire_time", Time, Delta)),
        nullable(column("schedule_time", Time, Delta)),
        nullable(column("tags", TextList, Dictionary)),
        nullable(column("attributes", TextMap, Document)),
        column("body_size", Int32, Delta),
        nullable(column("body", Binary, Document)),
        nullable(column("queue_id", Int32, Delta)),
        nullable(column("physical_offset", Int64, Delta)),
    ],
    sort: &[ascending("subject"), ascending("kind"), ascending("sequence")],
    time_column: "create_time",
    is_read_by_row: true,
    is_merged_by_day: false,
    row_bytes_hint: 200,
};

/// One row: a range of pull sequences of one ack that no known pull covers.
pub static UNRESOLVED_ACK: TableDef = TableDef {
    name: "unresolved_ack",
    columns: &[
        column("system", Text, Dictionary),
        column("subject", Text, Dictionary),
        column("kind", Int8, Delta),
        column("broker_group", Text, Dictionary),
        column("consumer_group", Text, Dictionary),
        column("consumer_id", Text, Dictionary),
        column("action_time", Time, Delta),
        column("first_pull_sequence", Int64, Delta),
        column("last_pull_sequence", Int64, Delta),
    ],
    sort: &[ascending("subject"), ascending("consumer_group"), ascending("action_time")],
    time_column: "action_time",
    is_read_by_row: false,
    is_merged_by_day: false,
    row_bytes_hint: 12,
};

/// One row: one key or id of one message.
pub static MESSAGE_KEY: TableDef = TableDef {
    name: "message_key",
    columns: &[
        column("system", Text, Dictionary),
        bloom(column("key", Text, DeltaText)),
        column("key_kind", Int8, Delta),
        column("subject", Text, Dictionary),
        column("message_id", Text, DeltaText),
        column("broker_group", Text, Dictionary),
        column("queue_id", Int32, Delta),
        column("sequence", Int64, Delta),
        column("create_time", Time, Delta),
        nullable(column("message", Text, Document)),
        nullable(column("physical_offset", Int64, Delta)),
    ],
    sort: &[ascending("key"), ascending("subject"), descending("create_time")],
    time_column: "create_time",
    is_read_by_row: true,
    is_merged_by_day: true,
    row_bytes_hint: 24,
};

/// One row: one trace event about one message.
pub static TRACE: TableDef = TableDef {
    name: "trace",
    columns: &[
        column("system", Text, Dictionary),
        column("trace_type", Text, Dictionary),
        bloom(column("msg_id", Text, DeltaText)),
        nullable(column("time_stamp", Time, Delta)),
        nullable(column("region_id", Text, Dictionary)),
        nullable(column("group_name", Text, Dictionary)),
        nullable(column("request_id", Text, DeltaText)),
        nullable(column("topic", Text, Dictionary)),
        nullable(column("tags", Text, Dictionary)),
        nullable(column("keys", TextList, Dictionary)),
        nullable(column("store_host", Text, Dictionary)),
        nullable(column("body_length", Int32, Delta)),
        nullable(column("cost_time", Int64, Delta)),
        nullable(column("msg_type", Int32, Delta)),
        nullable(column("offset_msg_id", Text, DeltaText)),
        nullable(column("success", Bool, Plain)),
        nullable(column("context_code", Int32, Delta)),
        nullable(column("client_host", Text, Dictionary)),
        nullable(column("retry_times", Int32, Delta)),
        nullable(column("transaction_id", Text, DeltaText)),
        nullable(column("transaction_state", Text, Dictionary)),
        nullable(column("from_transaction_check", Bool, Plain)),
        column("broker_group", Text, Dictionary),
        nullable(column("carrier", Text, DeltaText)),
        nullable(column("carrier_subject", Text, Dictionary)),
        column("store_time", Time, Delta),
        column("event", Int32, Delta),
        column("bean", Int32, Delta),
        nullable(column("raw", Text, Plain)),
    ],
    sort: &[ascending("msg_id"), ascending("store_time")],
    time_column: "store_time",
    is_read_by_row: false,
    is_merged_by_day: false,
    row_bytes_hint: 40,
};

/// One row: the position of one group in one queue at one time, or the bounds of the queue.
pub static CONSUMER_PROGRESS: TableDef = TableDef {
    name: "consumer_progress",
    columns: &[
        column("system", Text, Dictionary),
        column("subject", Text, Dictionary),
        column("consumer_group", Text, Dictionary),
        column("broker_group", Text, Dictionary),
        column("queue_id", Int32, Delta),
        column("sample_time", Time, Delta),
        nullable(column("consumer_offset", Int64, Delta)),
        nullable(column("min_offset", Int64, Delta)),
        nullable(column("max_offset", Int64, Delta)),
    ],
    sort: &[
        ascending("subject"),
        ascending("consumer_group"),
        ascending("broker_group"),
        ascending("queue_id"),
        ascending("sample_time"),
    ],
    time_column: "sample_time",
    is_read_by_row: false,
    is_merged_by_day: false,
    row_bytes_hint: 6,
};

/// All tables.
pub static TABLES: [&TableDef; 8] =
    [&MESSAGE, &DEAD_MESSAGE, &RECORD, &CONTENT, &UNRESOLVED_ACK, &MESSAGE_KEY, &TRACE, &CONSUMER_PROGRESS];
