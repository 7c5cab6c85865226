//! The tables: columns, types, sort order, encodings and indexes, in one place.
//!
//! `schemas/<table>.md` is the contract for users; a test holds this file to it. Nothing here touches
//! storage. Column types are few on purpose (strings, small integers, milliseconds in UTC, one list and
//! one map of strings), so that every engine reads the files the same way.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::{ArrayType, DataType as DeltaType, MapType, PrimitiveType, StructField};

/// Name of the partition column: the UTC day of [`TableDef::time_column`], `YYYY-MM-DD`.
pub const DAY_COLUMN: &str = "dt";

/// First day a partition can have, 0001-01-01, in days since the epoch.
pub const FIRST_DAY: i64 = -719_162;

/// Last day a partition can have, 9999-12-31, in days since the epoch.
pub const LAST_DAY: i64 = 2_932_896;

/// Value of the column `system` for QMQ.
pub const SYSTEM_QMQ: &str = "qmq";

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// 8-bit code.
    Int8,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// Milliseconds since the Unix epoch, UTC.
    Time,
    /// Bytes.
    Binary,
    /// List of text.
    TextList,
    /// Map of text to text.
    TextMap,
}

impl ColumnType {
    /// Name used in `schemas/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Text => "string",
            ColumnType::Int8 => "int8",
            ColumnType::Int32 => "int32",
            ColumnType::Int64 => "int64",
            ColumnType::Time => "timestamp(ms, UTC)",
            ColumnType::Binary => "binary",
            ColumnType::TextList => "list<string>",
            ColumnType::TextMap => "map<string, string>",
        }
    }

    /// Arrow type in the files.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            ColumnType::Text => DataType::Utf8,
            ColumnType::Int8 => DataType::Int8,
            ColumnType::Int32 => DataType::Int32,
            ColumnType::Int64 => DataType::Int64,
            ColumnType::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            ColumnType::Binary => DataType::Binary,
            ColumnType::TextList => DataType::List(Arc::new(Field::new("element", DataType::Utf8, false))),
            ColumnType::TextMap => {
                let entry = Fields::from(vec![
                    Field::new("key", DataType::Utf8, false),
                    Field::new("value", DataType::Utf8, false),
                ]);
                DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false)
            }
        }
    }

    fn delta(self) -> DeltaType {
        let text = || DeltaType::Primitive(PrimitiveType::String);
        match self {
            ColumnType::Text => text(),
            ColumnType::Int8 => DeltaType::Primitive(PrimitiveType::Byte),
            ColumnType::Int32 => DeltaType::Primitive(PrimitiveType::Integer),
            ColumnType::Int64 => DeltaType::Primitive(PrimitiveType::Long),
            ColumnType::Time => DeltaType::Primitive(PrimitiveType::Timestamp),
            ColumnType::Binary => DeltaType::Primitive(PrimitiveType::Binary),
            ColumnType::TextList => ArrayType::new(text(), false).into(),
            ColumnType::TextMap => MapType::new(text(), text(), false).into(),
        }
    }
}

/// How the pages of a column are encoded before zstd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Dictionary: few distinct values.
    Dictionary,
    /// `DELTA_BINARY_PACKED`: near-monotone numbers.
    Delta,
    /// `DELTA_BYTE_ARRAY`: text with shared prefixes.
    DeltaText,
    /// `PLAIN`.
    Plain,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub column_type: ColumnType,
    /// Whether it can be null.
    pub nullable: bool,
    /// Encoding of its pages.
    pub encoding: Encoding,
    /// Whether row groups carry a bloom filter for it.
    pub bloom: bool,
}

/// One column of the sort order inside a file.
#[derive(Debug, Clone, Copy)]
pub struct SortKey {
    /// Column name.
    pub column: &'static str,
    /// Newest first.
    pub descending: bool,
}

/// One table.
#[derive(Debug)]
pub struct TableDef {
    /// Name: of the folder and in SQL.
    pub name: &'static str,
    /// Columns in the files, in order; the partition column [`DAY_COLUMN`] comes last in SQL and is in no file.
    pub columns: &'static [Column],
    /// Order of rows inside a file.
    pub sort: &'static [SortKey],
    /// The column that gives a row's day.
    pub time_column: &'static str,
    /// Bytes of a row on disk, roughly: for sizing files.
    pub row_bytes_hint: usize,
}

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

use ColumnType::{Binary, Int8, Int32, Int64, Text, TextList, TextMap, Time};
use Encoding::{Delta, DeltaText, Dictionary, Plain};

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
    ],
    sort: &[ascending("subject"), descending("create_time")],
    time_column: "create_time",
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
        nullable(column("attributes", TextMap, Dictionary)),
        column("body_size", Int32, Delta),
        nullable(column("body", Binary, Plain)),
    ],
    sort: &[ascending("subject"), ascending("kind"), ascending("sequence")],
    time_column: "create_time",
    row_bytes_hint: 200,
};

/// One row: pull sequences of one ack that no known pull covers.
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
    row_bytes_hint: 12,
};

/// All tables.
pub static TABLES: [&TableDef; 5] = [&MESSAGE, &DEAD_MESSAGE, &RECORD, &CONTENT, &UNRESOLVED_ACK];

static FILE_SCHEMAS: LazyLock<Vec<(&'static str, SchemaRef)>> =
    LazyLock::new(|| TABLES.iter().map(|def| (def.name, Arc::new(def.build_file_schema()))).collect());

impl TableDef {
    /// The table of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static TableDef> {
        TABLES.iter().copied().find(|def| def.name == name)
    }

    /// Arrow schema of the files.
    #[must_use]
    pub fn file_schema(&self) -> SchemaRef {
        FILE_SCHEMAS
            .iter()
            .find(|(name, _)| *name == self.name)
            .map_or_else(|| Arc::new(self.build_file_schema()), |(_, schema)| schema.clone())
    }

    fn build_file_schema(&self) -> Schema {
        Schema::new(
            self.columns
                .iter()
                .map(|c| Field::new(c.name, c.column_type.arrow(), c.nullable))
                .collect::<Vec<_>>(),
        )
    }

    /// Columns of the Delta table, the partition column last.
    #[must_use]
    pub fn delta_columns(&self) -> Vec<StructField> {
        let mut fields: Vec<StructField> = self
            .columns
            .iter()
            .map(|c| StructField::new(c.name, c.column_type.delta(), c.nullable))
            .collect();
        fields.push(StructField::new(DAY_COLUMN, DeltaType::Primitive(PrimitiveType::Date), false));
        fields
    }

    /// Position of a column in the files.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
}
