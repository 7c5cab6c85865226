//! Rows of messages whose places are known: broker, queue, queue offset and time.
//!
//! Works for every table that names messages so. Only the pages around those rows are decoded.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use hashbrown::HashSet;

use super::super::catalog::PinnedTable;
use super::super::files::FileCache;
use super::condition::Condition;
use super::find::locate;
use super::rows::{numbers, texts};
use crate::error::Result;

/// What names a stored message of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    /// Broker.
    pub broker: &'a str,
    /// Queue, or -1.
    pub queue_id: i64,
    /// Queue offset.
    pub sequence: i64,
    /// Time by which the table is partitioned, epoch milliseconds.
    pub create_time: i64,
    /// Place of the record in the log, if it is known: light queues have many records of one queue offset.
    pub physical_offset: Option<i64>,
}

impl Place<'_> {
    /// The same without the place in the log.
    const fn anywhere(&self) -> Self {
        Place { physical_offset: None, ..*self }
    }
}

const COLUMNS: [&str; 5] = ["broker_group", "queue_id", "sequence", "create_time", "physical_offset"];

/// The named columns of the rows at these places of a topic, in any order.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn rows_at(
    files: &FileCache,
    table: &PinnedTable,
    system: &str,
    subject: &str,
    places: &HashSet<Place<'_>>,
    columns: &[&str],
) -> Result<Vec<RecordBatch>> {
    let conditions = [
        any_of("create_time", places.iter().map(|place| place.create_time)),
        any_of("sequence", places.iter().map(|place| place.sequence)),
        Condition::text("system", system),
    ];
    let mut found = Vec::new();
    for located in locate(files, table, Some(subject), &conditions, &COLUMNS).await? {
        let rows = wanted(&located.batch, places)?;
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

/// Rows of a batch that are at one of the places.
fn wanted(batch: &RecordBatch, places: &HashSet<Place<'_>>) -> Result<Vec<usize>> {
    let broker = texts(batch, "broker_group")?;
    let (sequence, created) = (numbers(batch, "sequence")?, numbers(batch, "create_time")?);
    // files of the first version have no queues
    let queue = numbers(batch, "queue_id").ok();
    // nor do those of older versions tell the place in the log in every table
    let physical = numbers(batch, "physical_offset").ok();
    let without: HashSet<Place<'_>> = places.iter().map(Place::anywhere).collect();
    let place = |row| Place {
        broker: broker.value(row),
        queue_id: queue.as_ref().and_then(|queue| queue.get(row)).unwrap_or(-1),
        sequence: sequence.get(row).unwrap_or_default(),
        create_time: created.get(row).unwrap_or_default(),
        physical_offset: physical.as_ref().and_then(|physical| physical.get(row)),
    };
    let is_wanted = |row: &usize| match place(*row) {
        place @ Place { physical_offset: None, .. } => without.contains(&place),
        place => places.contains(&place) || places.contains(&place.anywhere()),
    };
    Ok((0..batch.num_rows()).filter(is_wanted).collect())
}
