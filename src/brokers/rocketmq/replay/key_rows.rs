//! Rows of `message_key`: every key and id by which a message can be found.

use std::sync::Arc;

use arrow::array::Int8Array;
use arrow::record_batch::RecordBatch;

use super::stored_rows::StoredRows;
use crate::error::Result;
use crate::lake::schema::codes::KeyKind;
use crate::lake::schema::{MESSAGE_KEY, TableDef};
use crate::rows::{
    BatchContext, DayRows, Rows, Texts, batch_of, constant_column, gather, integers, offsets, small_integers,
    split_days, text_column, times,
};

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyRow<'a> {
    /// The key.
    pub key: &'a str,
    /// What it is.
    pub kind: KeyKind,
    /// Name id of the stored topic (see [`Names`](crate::rows::Names)).
    pub subject: u32,
    /// The message id that clients show.
    pub message_id: &'a str,
    /// Queue id, or -1.
    pub queue_id: i32,
    /// Queue offset, or -1.
    pub sequence: i64,
    /// Broker's clock.
    pub create_time_ms: i64,
    /// Row number in [`super::stored_rows::StoredRows`], if the message is stored inline with the key.
    pub message: Option<u32>,
    /// Physical offset of the record in the log, or `NO_OFFSET`.
    pub physical_offset: i64,
}

/// Rows of `message_key`.
#[derive(Debug, Default)]
pub(super) struct KeyRows {
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

/// Bytes of the columns with a fixed length.
const FIXED_BYTES: usize = 48;
/// Row number of a message that is not inlined.
const NO_MESSAGE: u32 = u32::MAX;
/// Approximate size of a message as JSON.
const MESSAGE_BYTES: usize = 1024;

impl KeyRows {
    /// Adds a key.
    pub(super) fn push(&mut self, row: &KeyRow<'_>) {
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

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.kind.len()
    }

    /// Approximate size in memory.
    #[must_use]
    pub(super) fn heap_bytes(&self) -> usize {
        self.key.bytes.len() + self.message_id.bytes.len() + self.kind.len() * FIXED_BYTES
    }
}

/// The keys of a batch, with the messages that are stored inline with some of them.
pub(super) struct KeysWithMessages<'a> {
    pub(super) keys: &'a KeyRows,
    pub(super) messages: &'a StoredRows,
}

impl Rows for KeysWithMessages<'_> {
    fn def(&self) -> &'static TableDef {
        &MESSAGE_KEY
    }

    fn len(&self) -> usize {
        self.keys.kind.len()
    }

    fn heap_bytes_of(&self, row: u32) -> usize {
        match self.keys.message.get(row as usize) {
            None | Some(&NO_MESSAGE) => 0,
            Some(_) => MESSAGE_BYTES,
        }
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let day = |row: u32| self.keys.create_time.get(row as usize).map_or(0, |time| context.day_of(*time));
        let rank = |row: u32| self.keys.subject.get(row as usize).map_or(0, |subject| context.rank(*subject));
        let time = |row: u32| std::cmp::Reverse(self.keys.create_time.get(row as usize));
        // the first bytes of a key decide most comparisons without reading its text
        let mut order: Vec<(i32, u64, u32)> = (0..self.len() as u32)
            .map(|row| (day(row), head(self.keys.key.get(row as usize)), row))
            .collect();
        order.sort_unstable_by(|a, b| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| {
                let (left, right) = (self.keys.key.get(a.2 as usize), self.keys.key.get(b.2 as usize));
                left.as_bytes()
                    .cmp(right.as_bytes())
                    .then_with(|| (rank(a.2), time(a.2), a.2).cmp(&(rank(b.2), time(b.2), b.2)))
            })
        });
        split_days(order.into_iter().map(|(day, _, row)| (day, row)))
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        let numbers =
            gather(&self.keys.message, order).map(|number| Some(number).filter(|n| *n != NO_MESSAGE));
        let messages = self.messages.json_column(numbers, context.broker_group, context.names)?;
        batch_of(
            &MESSAGE_KEY,
            vec![
                constant_column(context.system, order.len())?,
                self.keys.key.column(order),
                Arc::new(Int8Array::from_iter_values(gather(&self.keys.kind, order))),
                text_column(gather(&self.keys.subject, order), &context.dictionary)?,
                self.keys.message_id.column(order),
                constant_column(context.broker_group, order.len())?,
                small_integers(&self.keys.queue_id, order, false),
                integers(&self.keys.sequence, order),
                times(&self.keys.create_time, order, false),
                messages,
                offsets(&self.keys.physical_offset, order),
            ],
        )
    }
}

/// The first eight bytes of a text, as a number with the same order.
pub(super) fn head(text: &str) -> u64 {
    let mut head = [0; 8];
    for (place, byte) in head.iter_mut().zip(text.as_bytes()) {
        *place = *byte;
    }
    u64::from_be_bytes(head)
}
