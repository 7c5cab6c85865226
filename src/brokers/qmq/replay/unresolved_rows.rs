//! Rows of `unresolved_ack`.

use std::sync::Arc;

use arrow::array::Int8Array;
use arrow::record_batch::RecordBatch;

use super::queues::Queue;
use crate::error::Result;
use crate::lake::schema::{TableDef, UNRESOLVED_ACK};
use crate::rows::{
    BatchContext, DayRows, Rows, ascending, batch_of, by_day, constant_column, day_and_name, gather,
    integers, last_word, text_column, times,
};

/// Rows of `unresolved_ack`.
#[derive(Debug, Default)]
pub struct UnresolvedRows {
    subject: Vec<u32>,
    kind: Vec<i8>,
    consumer_group: Vec<u32>,
    consumer_id: Vec<u32>,
    action_time: Vec<i64>,
    first: Vec<i64>,
    last: Vec<i64>,
}

impl UnresolvedRows {
    /// Adds a range of pull sequences.
    pub fn push(
        &mut self,
        queue: Queue,
        consumer_group: u32,
        consumer_id: u32,
        action_time_ms: i64,
        (first, last): (i64, i64),
    ) {
        self.subject.push(queue.subject);
        self.kind.push(queue.kind.as_i8());
        self.consumer_group.push(consumer_group);
        self.consumer_id.push(consumer_id);
        self.action_time.push(action_time_ms);
        self.first.push(first);
        self.last.push(last);
    }
}

impl Rows for UnresolvedRows {
    fn def(&self) -> &'static TableDef {
        &UNRESOLVED_ACK
    }

    fn len(&self) -> usize {
        self.first.len()
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let rows = self.subject.iter().zip(&self.consumer_group).zip(&self.action_time).enumerate();
        by_day(
            rows.map(|(row, ((subject, group), time))| {
                let name = day_and_name(context.day_of(*time), context.rank(*subject), 0);
                [name, u64::from(context.rank(*group)), ascending(*time), last_word(0, 0, row)]
            })
            .collect(),
        )
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        batch_of(
            &UNRESOLVED_ACK,
            vec![
                constant_column(context.system, order.len())?,
                text_column(gather(&self.subject, order), &context.dictionary)?,
                Arc::new(Int8Array::from_iter_values(gather(&self.kind, order))),
                constant_column(context.broker_group, order.len())?,
                text_column(gather(&self.consumer_group, order), &context.dictionary)?,
                text_column(gather(&self.consumer_id, order), &context.dictionary)?,
                times(&self.action_time, order, false),
                integers(&self.first, order),
                integers(&self.last, order),
            ],
        )
    }
}
