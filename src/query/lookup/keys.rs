//! Messages by key or id: a run of rows of `message_key`, and for ids just those rows of `message`.
//!
//! `message_key` is sorted by key and tells most messages beside their keys, so all messages of a key are a few pages
//! in one place, whatever the number of messages.

use std::ops::RangeInclusive;

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use hashbrown::{HashMap, HashSet};

use super::super::catalog::PinnedTable;
use super::super::files::FileCache;
use super::condition::Condition;
use super::find::{Located, find_anywhere, locate};
use super::places::{Place, rows_at};
use super::rows::{numbers, texts};
use super::stored::StoredMessage;
use super::window::Order;
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
    /// Place of its record in the log; files of an older version do not tell.
    pub physical_offset: Option<i64>,
}

impl KeyHit {
    const COLUMNS: [&'static str; 8] = [
        "subject",
        "broker_group",
        "queue_id",
        "sequence",
        "create_time",
        "key_kind",
        "message_id",
        "physical_offset",
    ];

    /// Whether the key is of this kind.
    #[must_use]
    pub fn is(&self, kind: KeyKind) -> bool {
        self.key_kind == i64::from(kind.as_i8())
    }

    /// What names the stored message; several of its keys can be alike.
    #[must_use]
    pub fn place(&self) -> (i64, &str, &str, i64, i64, Option<i64>) {
        let KeyHit { create_time, subject, broker_group, queue_id, sequence, physical_offset, .. } = self;
        (*create_time, subject, broker_group, *queue_id, *sequence, *physical_offset)
    }

    fn of(batch: &RecordBatch) -> Result<Vec<KeyHit>> {
        let (subject, broker) = (texts(batch, "subject")?, texts(batch, "broker_group")?);
        let id = texts(batch, "message_id")?;
        let (queue, sequence) = (numbers(batch, "queue_id")?, numbers(batch, "sequence")?);
        let (created, kind) = (numbers(batch, "create_time")?, numbers(batch, "key_kind")?);
        let physical = numbers(batch, "physical_offset").ok();
        Ok((0..batch.num_rows())
            .map(|row| KeyHit {
                create_time: created.get(row).unwrap_or_default(),
                subject: subject.value(row).to_owned(),
                broker_group: broker.value(row).to_owned(),
                queue_id: queue.get(row).unwrap_or_default(),
                sequence: sequence.get(row).unwrap_or_default(),
                key_kind: kind.get(row).unwrap_or_default(),
                message_id: id.value(row).to_owned(),
                physical_offset: physical.as_ref().and_then(|physical| physical.get(row)),
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
    let mut by_subject: HashMap<&str, HashSet<Place<'_>>> = HashMap::new();
    // a place is no name where a broker gives one queue offset to many messages
    let named: HashSet<_> = hits.iter().map(|hit| (hit.place(), hit.message_id.as_str())).collect();
    for hit in hits {
        by_subject.entry(&hit.subject).or_default().insert(Place {
            broker: &hit.broker_group,
            queue_id: hit.queue_id,
            sequence: hit.sequence,
            create_time: hit.create_time,
            physical_offset: hit.physical_offset,
        });
    }
    let mut found = Vec::new();
    for (subject, places) in by_subject {
        for batch in rows_at(files, messages, system, subject, &places, &StoredMessage::COLUMNS).await? {
            found.extend(StoredMessage::of(&batch)?.into_iter().filter(|message| {
                let is_named = |physical_offset: Option<i64>| {
                    let place = (
                        message.order_time,
                        message.topic.as_str(),
                        message.broker.as_str(),
                        message.queue_id.unwrap_or(-1),
                        message.queue_offset,
                        physical_offset,
                    );
                    named.contains(&(place, message.message_id.as_str()))
                };
                // keys of older files know no place in the log
                is_named(message.physical_offset) || is_named(None)
            }));
        }
    }
    Ok(found)
}

/// Which messages of a key.
#[derive(Debug, Clone)]
pub struct KeyQuery<'a> {
    /// System.
    pub system: &'a str,
    /// The key, exactly.
    pub key: &'a str,
    /// Stored topic; without one those of all topics.
    pub subject: Option<&'a str>,
    /// First millisecond, included.
    pub from: i64,
    /// Last millisecond, not included.
    pub to: i64,
    /// Which end comes first.
    pub order: Order,
    /// Time of the message with which the page begins; others of that time can come before it.
    pub start: Option<i64>,
    /// Messages wanted beside those of the time of the start; all that share the time of the last come, too.
    pub limit: Option<usize>,
}

/// The messages with a key, in any order.
///
/// Most are told beside the key; only the others cost a second look-up.
///
/// # Errors
/// [`crate::error::Error::Store`].
pub async fn messages_with_key(
    files: &FileCache,
    keys: &PinnedTable,
    messages: &PinnedTable,
    query: &KeyQuery<'_>,
) -> Result<Vec<StoredMessage>> {
    let mut conditions = vec![
        Condition::text("key", query.key),
        Condition::text("system", query.system),
        Condition::number("key_kind", i64::from(KeyKind::Key.as_i8())),
    ];
    conditions.extend(query.subject.map(|subject| Condition::text("subject", subject)));
    let (mut from, mut last) = (query.from, query.to.saturating_sub(1));
    match (query.start, query.order) {
        (Some(start), Order::Newest) => last = last.min(start),
        (Some(start), Order::Oldest) => from = from.max(start),
        (None, _) => {}
    }
    conditions.push(Condition::Number("create_time", from, last));
    let located = locate(files, keys, None, &conditions, &["create_time"]).await?;
    let in_page = page_times(&located, query)?;
    let (mut found, mut elsewhere) = (Vec::new(), Vec::new());
    for located in &located {
        let created = numbers(&located.batch, "create_time")?;
        let is_wanted = |row: &usize| created.get(*row).is_some_and(|time| in_page.contains(&time));
        let wanted: Vec<usize> = (0..located.batch.num_rows()).filter(is_wanted).collect();
        let mut untold = Vec::new();
        let mut wanted = wanted.into_iter();
        for batch in located.fetch(wanted.as_slice(), &["message"]).await? {
            // files of an older version lack the column
            let told = batch.column_by_name("message").and_then(|column| column.as_string_opt::<i32>());
            for (row, position) in (0..batch.num_rows()).zip(&mut wanted) {
                match told.filter(|told| told.is_valid(row)) {
                    Some(told) => found.push(StoredMessage::from_json(told.value(row))?),
                    None => untold.push(position),
                }
            }
        }
        for batch in located.fetch(&untold, &KeyHit::COLUMNS).await? {
            elsewhere.extend(KeyHit::of(&batch)?);
        }
    }
    if !elsewhere.is_empty() {
        found.extend(messages_of(files, messages, query.system, &elsewhere).await?);
    }
    Ok(found)
}

/// Times of the messages that can be in a page.
fn page_times(located: &[Located], query: &KeyQuery<'_>) -> Result<RangeInclusive<i64>> {
    let everything = i64::MIN..=i64::MAX;
    let Some(limit) = query.limit else { return Ok(everything) };
    let mut times = Vec::new();
    for located in located {
        let created = numbers(&located.batch, "create_time")?;
        let all = (0..located.batch.num_rows()).filter_map(|row| created.get(row));
        times.extend(all.filter(|time| Some(*time) != query.start));
    }
    if times.len() <= limit {
        return Ok(everything);
    }
    times.sort_unstable();
    Ok(match query.order {
        Order::Newest => times.get(times.len() - limit).map_or(everything, |first| *first..=i64::MAX),
        Order::Oldest => {
            limit.checked_sub(1).and_then(|last| times.get(last)).map_or(everything, |last| i64::MIN..=*last)
        }
    })
}
