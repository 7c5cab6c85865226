//! Marks of the stored records of a queue: the columns that distinguish records with the same offset.
//!
//! They serve to compare a broker's records with those read from it earlier. Bodies and properties are not read.

use std::sync::Arc;

use hashbrown::HashSet;

use super::super::catalog::PinnedTable;
use super::super::files::FileCache;
use super::condition::Condition;
use super::find::find;
use super::rows::numbers;
use crate::error::Result;

/// The columns that distinguish a record of a queue from any other record with its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Queue offset.
    pub sequence: i64,
    /// Physical offset in the commit log.
    pub physical_offset: i64,
    /// Broker's clock, epoch milliseconds.
    pub store_time: i64,
    /// Checksum of the body as stored.
    pub body_crc: i64,
}

const COLUMNS: [&str; 5] = ["queue_id", "sequence", "physical_offset", "store_time", "body_crc"];

/// The marks of all stored messages at these offsets of a queue. If one message replaced another, both are included.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn marks(
    files: &FileCache,
    table: &PinnedTable,
    system: &str,
    (broker, topic, queue_id): (&str, &str, i32),
    mut offsets: Vec<i64>,
) -> Result<HashSet<Mark>> {
    offsets.sort_unstable();
    offsets.dedup();
    let conditions = [
        Condition::text("system", system),
        Condition::text("broker_group", broker),
        Condition::AnyNumber("sequence", Arc::from(offsets)),
    ];
    let mut found = HashSet::new();
    for batch in find(files, table, topic, &conditions, &COLUMNS).await? {
        // files of the first version lack the column
        let Ok(queue) = numbers(&batch, "queue_id") else { continue };
        let columns = [
            numbers(&batch, "sequence")?,
            numbers(&batch, "physical_offset")?,
            numbers(&batch, "store_time")?,
            numbers(&batch, "body_crc")?,
        ];
        for row in (0..batch.num_rows()).filter(|row| queue.get(*row) == Some(i64::from(queue_id))) {
            let [sequence, physical_offset, store_time, body_crc] =
                columns.each_ref().map(|column| column.get(row).unwrap_or_default());
            found.insert(Mark { sequence, physical_offset, store_time, body_crc });
        }
    }
    Ok(found)
}
