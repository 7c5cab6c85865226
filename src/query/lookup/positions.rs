//! Rows of messages whose positions are known: broker, queue, queue offset and time.
//!
//! Works for every table that has these columns. Only the pages that can contain the rows are decoded.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use hashbrown::HashSet;

use super::super::catalog::PinnedTable;
use super::super::files::FileCache;
use super::condition::Condition;
use super::find::locate;
use super::rows::{numbers, texts};
use crate::error::Result;

/// The position of a stored message of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position<'a> {
    /// Broker.
    pub broker: &'a str,
    /// Queue, or -1.
    pub queue_id: i64,
    /// Queue offset.
    pub sequence: i64,
    /// Time by which the table is partitioned, epoch milliseconds.
    pub create_time: i64,
    /// Physical offset of the record in the log, if it is known. A queue can have many records with one queue offset.
    pub physical_offset: Option<i64>,
}

impl Position<'_> {
    /// The same without the physical offset.
    const fn in_queue(&self) -> Self {
        Position { physical_offset: None, ..*self }
    }
}

const COLUMNS: [&str; 5] = ["broker_group", "queue_id", "sequence", "create_time", "physical_offset"];

/// The named columns of the rows at these positions of a topic, in any order.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn rows_at(
    files: &FileCache,
    table: &PinnedTable,
    system: &str,
    subject: &str,
    positions: &HashSet<Position<'_>>,
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    let conditions = [
        any_of("create_time", positions.iter().map(|position| position.create_time)),
        any_of("sequence", positions.iter().map(|position| position.sequence)),
        Condition::text("system", system),
    ];
    let mut found = Vec::new();
    for located in locate(files, table, Some(subject), &conditions, &COLUMNS).await? {
        let rows = wanted(&located.batch, positions)?;
        found.extend(located.fetch(&rows, columns).await?);
    }
    Ok(found)
}

fn any_of(column: &'static str, numbers: impl Iterator<Item = i64>) -> Condition {
    let mut numbers: Vec<i64> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    Condition::AnyNumber(column, Arc::from(numbers))
}

/// Rows of a batch that are at one of the positions.
fn wanted(batch: &RecordBatch, positions: &HashSet<Position<'_>>) -> Result<Vec<usize>> {
    let broker = texts(batch, "broker_group")?;
    let (sequence, created) = (numbers(batch, "sequence")?, numbers(batch, "create_time")?);
    // files of the first version lack the column
    let queue = numbers(batch, "queue_id").ok();
    // files of older versions lack it in some tables
    let physical = numbers(batch, "physical_offset").ok();
    let in_queues: HashSet<Position<'_>> = positions.iter().map(Position::in_queue).collect();
    let position = |row| Position {
        broker: broker.value(row),
        queue_id: queue.as_ref().and_then(|queue| queue.get(row)).unwrap_or(-1),
        sequence: sequence.get(row).unwrap_or_default(),
        create_time: created.get(row).unwrap_or_default(),
        physical_offset: physical.as_ref().and_then(|physical| physical.get(row)),
    };
    let is_wanted = |row: &usize| match position(*row) {
        found @ Position { physical_offset: None, .. } => in_queues.contains(&found),
        found => positions.contains(&found) || positions.contains(&found.in_queue()),
    };
    Ok((0..batch.num_rows()).filter(is_wanted).collect())
}
