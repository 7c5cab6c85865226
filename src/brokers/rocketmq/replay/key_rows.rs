//! Rows of `message_key`: every key and id by which a message can be asked for.

use std::sync::Arc;

use arrow::array::{Int8Array, new_null_array};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

use crate::error::Result;
use crate::lake::schema::{MESSAGE_KEY, TableDef};
use crate::rows::{
    BatchContext, DayRows, Rows, Texts, batch_of, constant_column, gather, integers, offsets, small_integers,
    split_days, text_column, times,
};

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(i8)]
pub enum KeyKind {
    /// A key that the application gave.
    Key = 0,
    /// The id that clients show.
    MessageId = 1,
    /// The own id of a message that was sent in a batch.
    OwnId = 2,
    /// Address and physical offset.
    OffsetId = 3,
    /// A key in a trace event; the row names no stored message.
    Trace = 4,
    /// Hash of topic and key from an index file whose record is gone; the row names no stored message.
    Hash = 5,
}

impl KeyKind {
    /// The code in the table.
    #[must_use]
    pub const fn as_i8(self) -> i8 {
        self as i8
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRow<'a> {
    /// The key.
    pub key: &'a str,
    /// What it is.
    pub kind: KeyKind,
    /// Number of the stored topic.
    pub subject: u32,
    /// Id that clients show.
    pub message_id: &'a str,
    /// Queue, or -1.
    pub queue_id: i32,
    /// Queue offset, or -1.
    pub sequence: i64,
    /// Broker's clock.
    pub create_time_ms: i64,
    /// Number of the message in [`super::stored_rows::StoredRows`], if it is told beside the key.
    pub message: Option<u32>,
    /// Place of the record in the log, or `NO_OFFSET`.
    pub physical_offset: i64,
}

/// Rows of `message_key`.
#[derive(Debug, Default)]
pub(crate) struct KeyRows {
    key: Texts,
    kind: Vec<i8>,
    subject: Vec<u32>,
    message_id: Texts,
    queue_id: Vec<i32>,
    sequence: Vec<i64>,
    create_time: Vec<i64>,
    message: Vec<u32>,
    physical_offset: Vec<i64>,
}

/// Bytes of the columns of one length.
const FIXED_BYTES: usize = 48;
/// Stands for a message that is not told.
const NO_MESSAGE: u32 = u32::MAX;
/// Bytes of a message as JSON, roughly.
const MESSAGE_BYTES: usize = 1024;

impl KeyRows {
    /// Adds a key.
    pub(crate) fn push(&mut self, row: &KeyRow<'_>) {
        self.key.push(row.key.as_bytes());
        self.kind.push(row.kind.as_i8());
        self.subject.push(row.subject);
        self.message_id.push(row.message_id.as_bytes());
        self.queue_id.push(row.queue_id);
        self.sequence.push(row.sequence);
        self.create_time.push(row.create_time_ms);
        self.message.push(row.message.unwrap_or(NO_MESSAGE));
        self.physical_offset.push(row.physical_offset);
    }

    /// Bytes in memory, roughly.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.key.bytes.len() + self.message_id.bytes.len() + self.kind.len() * FIXED_BYTES
    }
}

impl Rows for KeyRows {
    fn def(&self) -> &'static TableDef {
        &MESSAGE_KEY
    }

    fn len(&self) -> usize {
        self.kind.len()
    }

    fn heap_bytes_of(&self, row: u32) -> usize {
        match self.message.get(row as usize) {
            None | Some(&NO_MESSAGE) => 0,
            Some(_) => MESSAGE_BYTES,
        }
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let day = |row: u32| self.create_time.get(row as usize).map_or(0, |time| context.day_of(*time));
        let rank = |row: u32| self.subject.get(row as usize).map_or(0, |subject| context.rank(*subject));
        let time = |row: u32| std::cmp::Reverse(self.create_time.get(row as usize));
        // the first bytes of a key decide most comparisons without following it
        let mut order: Vec<(i32, u64, u32)> =
            (0..self.len() as u32).map(|row| (day(row), head(self.key.get(row as usize)), row)).collect();
        order.sort_unstable_by(|a, b| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| {
                let (left, right) = (self.key.get(a.2 as usize), self.key.get(b.2 as usize));
                left.as_bytes()
                    .cmp(right.as_bytes())
                    .then_with(|| (rank(a.2), time(a.2), a.2).cmp(&(rank(b.2), time(b.2), b.2)))
            })
        });
        split_days(order.into_iter().map(|(day, _, row)| (day, row)))
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        let numbers = gather(&self.message, order).map(|number| Some(number).filter(|n| *n != NO_MESSAGE));
        let messages = match context.stored {
            Some(stored) => stored.json_column(numbers, context.broker_group, context.names)?,
            None => new_null_array(&DataType::Utf8, order.len()),
        };
        batch_of(
            &MESSAGE_KEY,
            vec![
                constant_column(context.system, order.len())?,
                self.key.column(order),
                Arc::new(Int8Array::from_iter_values(gather(&self.kind, order))),
                text_column(gather(&self.subject, order), &context.dictionary)?,
                self.message_id.column(order),
                constant_column(context.broker_group, order.len())?,
                small_integers(&self.queue_id, order, false),
                integers(&self.sequence, order),
                times(&self.create_time, order, false),
                messages,
                offsets(&self.physical_offset, order),
            ],
        )
    }
}

/// The first eight bytes of a text as a number that sorts like them.
pub(super) fn head(text: &str) -> u64 {
    let mut head = [0; 8];
    for (place, byte) in head.iter_mut().zip(text.as_bytes()) {
        *place = *byte;
    }
    u64::from_be_bytes(head)
}
