//! Messages by key or id: a run of rows of `message_key`, then just those rows of `message`.
//!
//! `message_key` is sorted by key, so a key of one message costs as much as an id, whatever the number of messages.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use hashbrown::{HashMap, HashSet};

use super::super::catalog::PinnedTable;
use super::super::files::FileCache;
use super::condition::Condition;
use super::find::{find, find_anywhere};
use super::rows::{numbers, texts};
use super::stored::StoredMessage;
use crate::error::Result;
use crate::replay::KeyKind;

/// A row of `message_key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyHit {
    /// Time of the message, epoch milliseconds.
    pub create_time: i64,
    /// Stored topic.
    pub subject: String,
    /// Broker.
    pub broker_group: String,
    /// Queue.
    pub queue_id: i64,
    /// Queue offset.
    pub sequence: i64,
    /// Code of what the key is.
    pub key_kind: i64,
    /// Id of the message.
    pub message_id: String,
}

impl KeyHit {
    const COLUMNS: [&'static str; 7] =
        ["subject", "broker_group", "queue_id", "sequence", "create_time", "key_kind", "message_id"];

    /// Whether the key is of this kind.
    #[must_use]
    pub fn is(&self, kind: KeyKind) -> bool {
        self.key_kind == i64::from(kind.as_i8())
    }

    /// What names the stored message; several of its keys can be alike.
    #[must_use]
    pub fn place(&self) -> (i64, &str, &str, i64, i64) {
        (self.create_time, &self.subject, &self.broker_group, self.queue_id, self.sequence)
    }

    fn of(batch: &RecordBatch) -> Result<Vec<KeyHit>> {
        let (subject, broker) = (texts(batch, "subject")?, texts(batch, "broker_group")?);
        let id = texts(batch, "message_id")?;
        let (queue, sequence) = (numbers(batch, "queue_id")?, numbers(batch, "sequence")?);
        let (created, kind) = (numbers(batch, "create_time")?, numbers(batch, "key_kind")?);
        Ok((0..batch.num_rows())
            .map(|row| KeyHit {
                create_time: created.get(row).unwrap_or_default(),
                subject: subject.value(row).to_owned(),
                broker_group: broker.value(row).to_owned(),
                queue_id: queue.get(row).unwrap_or_default(),
                sequence: sequence.get(row).unwrap_or_default(),
                key_kind: kind.get(row).unwrap_or_default(),
                message_id: id.value(row).to_owned(),
            })
            .collect())
    }
}

/// Everything that is known under a key, of all topics, in the order of time.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn key_hits(files: &FileCache, keys: &PinnedTable, system: &str, key: &str) -> Result<Vec<KeyHit>> {
    let conditions = [Condition::text("key", key), Condition::text("system", system)];
    let mut hits = Vec::new();
    for batch in find_anywhere(files, keys, &conditions, &KeyHit::COLUMNS).await? {
        hits.extend(KeyHit::of(&batch)?);
    }
    hits.sort_unstable();
    hits.dedup();
    Ok(hits)
}

/// The messages that hits name, in any order.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn messages_of(
    files: &FileCache,
    messages: &PinnedTable,
    system: &str,
    hits: &[KeyHit],
) -> Result<Vec<StoredMessage>> {
    let mut by_subject: HashMap<&str, Vec<&KeyHit>> = HashMap::new();
    for hit in hits {
        by_subject.entry(&hit.subject).or_default().push(hit);
    }
    let mut found = Vec::new();
    for (subject, hits) in by_subject {
        let mut times: Vec<i64> = hits.iter().map(|hit| hit.create_time).collect();
        times.sort_unstable();
        times.dedup();
        let places: HashSet<(&str, i64, i64, i64)> = hits
            .iter()
            .map(|hit| (&*hit.broker_group, hit.queue_id, hit.sequence, hit.create_time))
            .collect();
        let conditions =
            [Condition::AnyNumber("create_time", Arc::from(times)), Condition::text("system", system)];
        for batch in find(files, messages, subject, &conditions, &StoredMessage::COLUMNS).await? {
            found.extend(StoredMessage::of(&batch)?.into_iter().filter(|message| {
                let queue = message.queue_id.unwrap_or(-1);
                places.contains(&(&*message.broker, queue, message.queue_offset, message.order_time))
            }));
        }
    }
    Ok(found)
}
