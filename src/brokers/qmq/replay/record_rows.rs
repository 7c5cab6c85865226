//! Rows of `record`.

use std::sync::Arc;

use arrow::array::Int8Array;
use arrow::record_batch::RecordBatch;

use super::queues::Queue;
use crate::error::Result;
use crate::lake::schema::{RECORD, TableDef};
use crate::rows::{
    BatchContext, DayRows, Rows, ascending, batch_of, by_day, constant_column, day_and_name, gather,
    integers, last_word, text_column, times,
};

/// Rows of `record`.
#[derive(Debug, Default)]
pub struct RecordRows {
    subject: Vec<u32>,
    kind: Vec<i8>,
    sequence: Vec<i64>,
    consumer_group: Vec<u32>,
    action: Vec<i8>,
    action_time: Vec<i64>,
    consumer_id: Vec<u32>,
}

impl RecordRows {
    /// Adds one row for each of the messages `sequences.0..=sequences.1`.
    pub fn push(
        &mut self,
        queue: Queue,
        (first, last): (i64, i64),
        consumer_group: u32,
        action: i8,
        action_time_ms: i64,
        consumer_id: u32,
    ) {
        let before = self.sequence.len();
        self.sequence.extend(first..=last);
        let rows = self.sequence.len();
        debug_assert!(rows >= before);
        self.subject.resize(rows, queue.subject);
        self.kind.resize(rows, queue.kind.as_i8());
        self.consumer_group.resize(rows, consumer_group);
        self.action.resize(rows, action);
        self.action_time.resize(rows, action_time_ms);
        self.consumer_id.resize(rows, consumer_id);
    }
}

impl Rows for RecordRows {
    fn def(&self) -> &'static TableDef {
        &RECORD
    }

    fn len(&self) -> usize {
        self.sequence.len()
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let at = |values: &[u32], row: usize| values.get(row).copied().unwrap_or_default();
        let keys =
            self.sequence.iter().zip(&self.action_time).zip(&self.kind).zip(&self.action).enumerate().map(
                |(row, (((sequence, time), kind), action))| {
                    let subject = context.rank(at(&self.subject, row));
                    let group = context.rank(at(&self.consumer_group, row));
                    // finer than the table's order: a group's pull before its ack, then the order of the log
                    let name = day_and_name(context.day_of(*time), subject, kind.cast_unsigned());
                    [name, ascending(*sequence), last_word(group, *action, row)]
                },
            );
        by_day(keys.collect())
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        batch_of(
            &RECORD,
            vec![
                constant_column(context.system, order.len())?,
                text_column(gather(&self.subject, order), &context.dictionary)?,
                Arc::new(Int8Array::from_iter_values(gather(&self.kind, order))),
                integers(&self.sequence, order),
                constant_column(context.broker_group, order.len())?,
                text_column(gather(&self.consumer_group, order), &context.dictionary)?,
                Arc::new(Int8Array::from_iter_values(gather(&self.action, order))),
                times(&self.action_time, order, false),
                text_column(gather(&self.consumer_id, order), &context.dictionary)?,
            ],
        )
    }
}
