//! Messages by key or id: a run of rows of `message_key`, and for ids the rows of `message` that they name.
//!
//! `message_key` is sorted by key and stores most messages inline with their keys, so the messages of a key are in
//! neighbouring pages.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;
use hashbrown::{HashMap, HashSet};

use super::super::catalog::PinnedTable;
use super::super::files::FileCache;
use super::condition::Condition;
use super::find::{CONCURRENT_FILES, Located, find_anywhere, locate_in, matching_files};
use super::positions::{Position, rows_at};
use super::rows::{numbers, texts};
use super::stored::StoredMessage;
use super::window::Order;
use crate::error::{Error, Result};
use crate::lake::LakeFile;
use crate::lake::schema::codes::KeyKind;

/// The memory of a hit, in rows that have only a time.
const ROWS_OF_A_HIT: usize = 10;
/// Minimum messages read by a step after the first, which reads the limit. Each further step doubles.
const MIN_STEP: usize = 64;
/// Maximum messages read by a step, unless a page has more.
const MAX_STEP: usize = 1024;

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
    /// Code of the kind of key, see [`KeyKind`].
    pub key_kind: i64,
    /// Id of the message.
    pub message_id: String,
    /// Physical offset of its record in the log; files of older versions lack it.
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

    /// The position of the stored message. Several hits can have the same one, since a message can repeat a key.
    #[must_use]
    pub fn position(&self) -> (i64, &str, &str, i64, i64, Option<i64>) {
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

/// All rows of a key, of all topics and kinds, ordered by time.
///
/// # Errors
/// [`Error::Store`]; [`Error::Limit`] if the key has too many rows.
pub async fn key_hits(files: &FileCache, keys: &PinnedTable, system: &str, key: &str) -> Result<Vec<KeyHit>> {
    key_hits_of(files, keys, system, key, KeyKind::Key..=KeyKind::Hash).await
}

/// As [`key_hits`], of some kinds only. Files without these kinds are not read.
///
/// # Errors
/// [`Error::Store`]; [`Error::Limit`] if the key has too many rows.
pub async fn key_hits_of(
    files: &FileCache,
    keys: &PinnedTable,
    system: &str,
    key: &str,
    kinds: RangeInclusive<KeyKind>,
) -> Result<Vec<KeyHit>> {
    let (first, last) = (kinds.start().as_i8(), kinds.end().as_i8());
    let conditions = [
        Condition::text("key", key),
        Condition::text("system", system),
        Condition::Number("key_kind", i64::from(first), i64::from(last)),
    ];
    let max = files.max_rows().div_ceil(ROWS_OF_A_HIT);
    let mut hits = Vec::new();
    for batch in find_anywhere(files, keys, &conditions, &KeyHit::COLUMNS).await? {
        if hits.len() + batch.num_rows() > max {
            return Err(Error::Limit(format!(
                "more than {max} rows are known under `{key}` (a tenth of http.max_lookup_rows); ask by the id of one \
                 message"
            )));
        }
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
    let mut by_subject: HashMap<&str, HashSet<Position<'_>>> = HashMap::new();
    // with the id, because a broker can give one queue offset to many messages
    let named: HashSet<_> = hits.iter().map(|hit| (hit.position(), hit.message_id.as_str())).collect();
    for hit in hits {
        by_subject.entry(&hit.subject).or_default().insert(Position {
            broker: &hit.broker_group,
            queue_id: hit.queue_id,
            sequence: hit.sequence,
            create_time: hit.create_time,
            physical_offset: hit.physical_offset,
        });
    }
    let mut found = Vec::new();
    for (subject, positions) in by_subject {
        for batch in rows_at(files, messages, system, subject, &positions, &StoredMessage::COLUMNS).await? {
            found.extend(StoredMessage::of(&batch)?.into_iter().filter(|message| {
                let is_named = |physical_offset: Option<i64>| {
                    let position = (
                        message.order_time,
                        message.topic.as_str(),
                        message.broker.as_str(),
                        message.queue_id.unwrap_or(-1),
                        message.queue_offset,
                        physical_offset,
                    );
                    named.contains(&(position, message.message_id.as_str()))
                };
                // keys of older files have no physical offset
                is_named(message.physical_offset) || is_named(None)
            }));
        }
    }
    Ok(found)
}

/// A query for a page of the messages with a key.
#[derive(Debug, Clone)]
pub struct KeyQuery<'a> {
    /// System.
    pub system: &'a str,
    /// The key; it must match exactly.
    pub key: &'a str,
    /// Stored topic; `None`: all topics.
    pub subject: Option<&'a str>,
    /// First millisecond, included.
    pub from: i64,
    /// End of the window in milliseconds, not included.
    pub to: i64,
    /// Order of the page.
    pub order: Order,
    /// Time of the first message of the page. Messages of the same time can belong to the previous page.
    pub start: Option<i64>,
    /// Messages wanted. Further messages with the time of the last one are returned, too.
    pub limit: usize,
}

/// At least the first `limit` messages with a key that the caller wants, in any order; the caller sorts and cuts them.
///
/// Most messages are inline with the key; the others cost a second lookup. Files are read in the order of time, and
/// only as many messages as the page needs, so the page of a frequent key costs no more than that of a rare one.
///
/// # Errors
/// [`Error::Store`]; [`Error::Limit`] if the key has too many rows in a few files.
pub async fn messages_with_key(
    files: &FileCache,
    keys: &PinnedTable,
    messages: &PinnedTable,
    query: &KeyQuery<'_>,
    is_wanted: impl Fn(&StoredMessage) -> bool,
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
    let matching = matching_files(keys, None, &conditions);
    let mut matching: Vec<(i64, &Arc<LakeFile>)> =
        matching.into_iter().map(|file| (query.rank(best_time(file, query.order)), file)).collect();
    matching.sort_by_key(|(rank, _)| *rank);
    let mut rows = KeyRows { query, files, messages, rows: Vec::new(), waiting: Vec::new() };
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut step = query.limit;
    for (number, wave) in matching.chunks(CONCURRENT_FILES).enumerate() {
        let wave_files = wave.iter().map(|(_, file)| *file);
        rows.add(locate_in(files, keys, wave_files, None, &conditions, &["create_time"]).await?)?;
        // rows of later files have this rank or a higher one
        let next = matching.get((number + 1) * CONCURRENT_FILES).map_or(i64::MAX, |(rank, _)| *rank);
        while found.len() < query.limit {
            let wanted = rows.take(step, next);
            if wanted.is_empty() {
                break;
            }
            for message in rows.read(wanted).await? {
                if is_wanted(&message) && seen.insert(message.place()) {
                    found.push(message);
                }
            }
            step = (step * 2).max(MIN_STEP).min(MAX_STEP.max(query.limit));
        }
        if found.len() >= query.limit {
            break;
        }
    }
    Ok(found)
}

impl KeyQuery<'_> {
    /// A number that grows in page order.
    fn rank(&self, time: i64) -> i64 {
        match self.order {
            Order::Newest => time.saturating_neg(),
            Order::Oldest => time,
        }
    }
}

/// Time of the row of a file that is first in page order.
fn best_time(file: &LakeFile, order: Order) -> i64 {
    let (oldest, newest) = file.stats.number_range("create_time").unwrap_or((i64::MIN, i64::MAX));
    match order {
        Order::Newest => newest,
        Order::Oldest => oldest,
    }
}

/// Rows of a key that were found, and those among them whose messages were not read yet.
struct KeyRows<'a> {
    query: &'a KeyQuery<'a>,
    files: &'a FileCache,
    messages: &'a PinnedTable,
    rows: Vec<Located>,
    /// Rank, index into `rows`, and row in its batch. Sorted so that the next row of the page is the last entry.
    waiting: Vec<(i64, usize, usize)>,
}

impl KeyRows<'_> {
    fn add(&mut self, located: Vec<Located>) -> Result<()> {
        for mut located in located {
            let number = self.rows.len();
            // only the time is needed now, not the key of each row
            let created = located.batch.schema().index_of("create_time")?;
            located.batch = located.batch.project(&[created])?;
            let times = numbers(&located.batch, "create_time")?;
            self.waiting.extend(
                (0..located.batch.num_rows())
                    .filter_map(|row| Some((self.query.rank(times.get(row)?), number, row))),
            );
            self.rows.push(located);
        }
        if self.waiting.len() > self.files.max_rows() {
            return Err(Error::Limit(format!(
                "the key has more than {} messages in this time (http.max_lookup_rows); ask for less of it with `from` \
                 and `to`",
                self.files.max_rows()
            )));
        }
        self.waiting.sort_unstable_by(|a, b| b.cmp(a));
        Ok(())
    }

    /// The next rows before the rank `end`, and further rows that have the rank of the last one.
    fn take(&mut self, count: usize, end: i64) -> Vec<(usize, usize)> {
        let mut taken = Vec::new();
        let mut last = None;
        while let Some((rank, number, row)) = self.waiting.pop_if(|(rank, ..)| {
            // without later files there is no end
            (*rank < end || end == i64::MAX) && (taken.len() < count || last == Some(*rank))
        }) {
            last = Some(rank);
            taken.push((number, row));
        }
        taken.sort_unstable();
        taken
    }

    /// Reads the messages of rows.
    async fn read(&self, wanted: Vec<(usize, usize)>) -> Result<Vec<StoredMessage>> {
        let (mut found, mut elsewhere) = (Vec::new(), Vec::new());
        for group in wanted.chunk_by(|a, b| a.0 == b.0) {
            let Some(located) = group.first().and_then(|(number, _)| self.rows.get(*number)) else {
                continue;
            };
            let wanted: Vec<usize> = group.iter().map(|(_, row)| *row).collect();
            let mut not_inline = Vec::new();
            let mut left = wanted.iter().copied();
            for batch in located.fetch(&wanted, &["message"]).await? {
                // files of older versions lack the column
                let inline = batch.column_by_name("message").and_then(|column| column.as_string_opt::<i32>());
                for (row, index) in (0..batch.num_rows()).zip(&mut left) {
                    match inline.filter(|inline| inline.is_valid(row)) {
                        Some(inline) => found.push(StoredMessage::from_json(inline.value(row))?),
                        None => not_inline.push(index),
                    }
                }
            }
            for batch in located.fetch(&not_inline, &KeyHit::COLUMNS).await? {
                elsewhere.extend(KeyHit::of(&batch)?);
            }
        }
        if !elsewhere.is_empty() {
            found.extend(messages_of(self.files, self.messages, self.query.system, &elsewhere).await?);
        }
        Ok(found)
    }
}
