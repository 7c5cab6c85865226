//! Rows of `consumer_progress`.

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;

use crate::error::Result;
use crate::lake::schema::{CONSUMER_PROGRESS, TableDef};
use crate::rows::{
    BatchContext, DayRows, Rows, batch_of, constant_column, small_integers, split_days, text_column, times,
};

/// How far a group was in a queue; without a group, what the queue held.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProgressRow {
    /// Name id of the topic (see [`Names`](crate::rows::Names)).
    pub subject: u32,
    /// Name id of the group, or of the empty name for the queue itself.
    pub consumer_group: u32,
    /// Queue.
    pub queue_id: i32,
    /// When the sample was taken, by the broker's clock if there is one.
    pub sample_time_ms: i64,
    /// Next offset to consume; absent for the queue itself.
    pub consumer_offset: Option<i64>,
    /// First offset that the broker still had.
    pub min_offset: Option<i64>,
    /// Next offset to be written.
    pub max_offset: Option<i64>,
}

/// Rows of `consumer_progress`.
#[derive(Debug, Default)]
pub(super) struct ProgressRows {
    rows: Vec<ProgressRow>,
}

impl ProgressRows {
    /// Adds a sample.
    pub(super) fn push(&mut self, row: ProgressRow) {
        self.rows.push(row);
    }

    fn column<T>(&self, order: &[u32], pick: impl Fn(&ProgressRow) -> T) -> Vec<T> {
        order.iter().filter_map(|row| self.rows.get(*row as usize)).map(pick).collect()
    }
}

fn offsets(values: Vec<Option<i64>>) -> ArrayRef {
    std::sync::Arc::new(Int64Array::from(values))
}

impl Rows for ProgressRows {
    fn def(&self) -> &'static TableDef {
        &CONSUMER_PROGRESS
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn sorted(&self, context: &BatchContext<'_>) -> Vec<DayRows> {
        let mut order: Vec<_> = self
            .rows
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let names = (context.rank(row.subject), context.rank(row.consumer_group));
                (context.day_of(row.sample_time_ms), names, row.queue_id, row.sample_time_ms, at as u32)
            })
            .collect();
        order.sort_unstable();
        split_days(order.into_iter().map(|(day, .., row)| (day, row)))
    }

    fn batch(&self, order: &[u32], context: &BatchContext<'_>) -> Result<RecordBatch> {
        let names = |numbers: Vec<u32>| text_column(numbers.into_iter(), &context.dictionary);
        let all: Vec<u32> = (0..order.len() as u32).collect();
        let queues = self.column(order, |row| row.queue_id);
        let sampled = self.column(order, |row| row.sample_time_ms);
        batch_of(
            &CONSUMER_PROGRESS,
            vec![
                constant_column(context.system, order.len())?,
                names(self.column(order, |row| row.subject))?,
                names(self.column(order, |row| row.consumer_group))?,
                constant_column(context.broker_group, order.len())?,
                small_integers(&queues, &all, false),
                times(&sampled, &all, false),
                offsets(self.column(order, |row| row.consumer_offset)),
                offsets(self.column(order, |row| row.min_offset)),
                offsets(self.column(order, |row| row.max_offset)),
            ],
        )
    }
}
