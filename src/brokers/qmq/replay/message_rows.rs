//! Rows of `message` and `dead_message`.

use std::sync::Arc;

use arrow::array::Int8Array;
use arrow::record_batch::RecordBatch;

use super::queues::Queue;
use crate::error::Result;
use crate::lake::schema::{DEAD_MESSAGE, MESSAGE, TableDef};
use crate::rows::{
    BatchContext, DayRows, NameLists, Rows, Texts, batch_of, by_day, constant_column, day_and_name,
    descending, gather, integers, last_word, text_column, times,
};

/// Columns that both tables share.
#[derive(Debug, Default)]
struct Columns {
    subject: Vec<u32>,
    consumer_group: Vec<u32>,
    sequence: Vec<i64>,
    message_id: Texts,
    create_time: Vec<i64>,
    store_time: Vec<i64>,
    tags: NameLists,
}

/// One message, as input of both tables.
#[derive(Debug, Clone, Copy)]
pub struct MessageRow<'a> {
    /// Its queue, parsed from the subject.
    pub queue: Queue,
    /// Sequence in its subject on its broker group.
    pub sequence: i64,
    /// Id given by the producer.
    pub message_id: &'a [u8],
    /// Producer's clock, epoch milliseconds.
    pub create_time_ms: i64,
    /// Broker's clock, epoch milliseconds, or `NO_TIME`.
    pub store_time_ms: i64,
    /// Name ids of the tags (see [`Names`](crate::rows::Names)); `None` if the source has no tags.
    pub tags: Option<&'a [u32]>,
}

impl Columns {
    fn push(&mut self, row: &MessageRow<'_>) {
        self.subject.push(row.queue.subject);
        self.consumer_group.push(row.queue.consumer_group);
        self.sequence.push(row.sequence);
        self.message_id.push(row.message_id);
        self.create_time.push(row.create_time_ms);
        self.store_time.push(row.store_time_ms);
        self.tags.push(row.tags);
    }

    fn heap_bytes(&self) -> usize {
        self.message_id.bytes.len()
    }
}

/// Rows of `message`.
#[derive(Debug, Default)]
pub struct MessageRows {
    columns: Columns,
    kind: Vec<i8>,
}

impl MessageRows {
    /// Adds a message.
    pub fn push(&mut self, row: &MessageRow<'_>) {
        self.kind.push(row.queue.kind.as_i8());
        self.columns.push(row);
    }

    /// Bytes of the message ids.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.columns.heap_bytes()
    }
}

impl Rows for MessageRows {
    fn def(&self) -> &'static TableDef {
        &MESSAGE
    }

    fn len(&self) -> usize {
        self.kind.len()
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let rows = self.columns.subject.iter().zip(&self.columns.create_time).enumerate();
        by_day(
            rows.map(|(row, (subject, time))| {
                let name = day_and_name(context.day_of(*time), context.rank(*subject), 0);
                [name, descending(*time), last_word(0, 0, row)]
            })
            .collect(),
        )
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        let c = &self.columns;
        batch_of(
            &MESSAGE,
            vec![
                constant_column(context.system, order.len())?,
                text_column(gather(&c.subject, order), &context.dictionary)?,
                Arc::new(Int8Array::from_iter_values(gather(&self.kind, order))),
                text_column(gather(&c.consumer_group, order), &context.dictionary)?,
                constant_column(context.broker_group, order.len())?,
                integers(&c.sequence, order),
                c.message_id.column(order),
                times(&c.create_time, order, false),
                times(&c.store_time, order, true),
                c.tags.column(order, context.names),
            ],
        )
    }
}

/// Rows of `dead_message`.
#[derive(Debug, Default)]
pub struct DeadRows {
    columns: Columns,
}

impl DeadRows {
    /// Adds a dead letter.
    pub fn push(&mut self, row: &MessageRow<'_>) {
        self.columns.push(row);
    }
}

impl Rows for DeadRows {
    fn def(&self) -> &'static TableDef {
        &DEAD_MESSAGE
    }

    fn len(&self) -> usize {
        self.columns.subject.len()
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let c = &self.columns;
        let rows = c.subject.iter().zip(&c.consumer_group).zip(&c.create_time).enumerate();
        by_day(
            rows.map(|(row, ((subject, group), time))| {
                let name = day_and_name(context.day_of(*time), context.rank(*subject), 0);
                [name, u64::from(context.rank(*group)), descending(*time), last_word(0, 0, row)]
            })
            .collect(),
        )
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        let c = &self.columns;
        batch_of(
            &DEAD_MESSAGE,
            vec![
                constant_column(context.system, order.len())?,
                text_column(gather(&c.subject, order), &context.dictionary)?,
                text_column(gather(&c.consumer_group, order), &context.dictionary)?,
                constant_column(context.broker_group, order.len())?,
                integers(&c.sequence, order),
                c.message_id.column(order),
                times(&c.create_time, order, false),
                times(&c.store_time, order, true),
                c.tags.column(order, context.names),
            ],
        )
    }
}
