//! The tables: columns, types, sort order, encodings and indexes, in one place.
//!
//! `schemas/<table>.md` is the contract for users; a test compares [`tables`] with it. Nothing here touches
//! storage. There are few column types on purpose (strings, integers, milliseconds in UTC, lists and maps of
//! strings), so that every engine reads the files the same way.

pub mod codes;
pub mod namespace;
mod tables;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::{ArrayType, DataType as DeltaType, MapType, PrimitiveType, StructField};

pub use codes::{SYSTEM_QMQ, SYSTEM_ROCKETMQ};
pub use tables::{
    CONSUMER_PROGRESS, CONTENT, DEAD_MESSAGE, MESSAGE, MESSAGE_KEY, RECORD, TABLES, TRACE, UNRESOLVED_ACK,
};

/// Name of the partition column: the UTC day of [`TableDef::time_column`], `YYYY-MM-DD`.
pub const DAY_COLUMN: &str = "dt";

/// First day a partition can have, 0001-01-01, in days since the epoch.
pub const FIRST_DAY: i64 = -719_162;

/// Last day a partition can have, 9999-12-31, in days since the epoch.
pub const LAST_DAY: i64 = 2_932_896;

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
    /// True or false.
    Bool,
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
            ColumnType::Bool => "boolean",
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
            ColumnType::Bool => DataType::Boolean,
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
            ColumnType::Bool => DeltaType::Primitive(PrimitiveType::Boolean),
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
    /// `PLAIN` without bounds, in small pages: long values of which a lookup reads a row or two.
    Document,
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
    /// Name of the folder, and of the table in SQL.
    pub name: &'static str,
    /// Columns of the files, in order. The partition column [`DAY_COLUMN`] is in no file; in SQL it comes last.
    pub columns: &'static [Column],
    /// Order of rows inside a file.
    pub sort: &'static [SortKey],
    /// The column that gives a row's day.
    pub time_column: &'static str,
    /// Whether lookups read single rows with many of their columns: then pages are small, and numbers are not compressed.
    pub is_read_by_row: bool,
    /// Whether the files of a day are always merged when it is settled, however large they are. Set for tables whose
    /// first sort column repeats over the whole day, so that the rows of one value lie in one place (ONE-RUN).
    pub is_merged_by_day: bool,
    /// Approximate bytes of a row on disk, for sizing files.
    pub row_bytes_hint: usize,
}

static FILE_SCHEMAS: LazyLock<Vec<(&'static str, SchemaRef)>> =
    LazyLock::new(|| TABLES.iter().map(|def| (def.name, Arc::new(def.build_file_schema()))).collect());

impl TableDef {
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
    pub(super) fn delta_columns(&self) -> Vec<StructField> {
        let mut fields: Vec<StructField> = self
            .columns
            .iter()
            .map(|c| StructField::new(c.name, c.column_type.delta(), c.nullable))
            .collect();
        fields.push(StructField::new(DAY_COLUMN, DeltaType::Primitive(PrimitiveType::Date), false));
        fields
    }

    /// Whether a column holds times.
    #[must_use]
    pub fn is_time(&self, name: &str) -> bool {
        self.columns.iter().any(|c| c.name == name && c.column_type == ColumnType::Time)
    }

    /// Position of a column in the files.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
}
