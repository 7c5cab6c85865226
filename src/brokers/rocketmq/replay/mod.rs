//! Replay of RocketMQ records: one record of a commit log or of a pull answer becomes its rows.
//!
//! The same record gives the same rows wherever it was read. [`TableFloor`] drops rows that a table already has, from
//! this stream or from the broker's other one, so files can be imported both before and after a broker is followed.
//! Nothing here reads a file, a clock or the lake.

mod batch;
mod key_rows;
mod offsets;
mod progress_rows;
mod stored_json_rows;
mod stored_rows;
mod trace_rows;
mod trail;

use std::sync::Arc;

pub use batch::{ProgressSample, RocketMqBatch, TraceCarrier};
pub use offsets::{QueueOffsets, QueuePlace};
pub use trail::{Stretch, Trail};

use super::format::body::{BodyState, Decompressor, MAX_BODY_BYTES};
use super::format::properties::{Properties, names};
use super::format::record::Record;
use super::format::sys_flag::Transaction;
use super::format::topics::Kind;
use super::format::{inner_batch, topics};
use super::trace::decode::looks_like_trace;
use crate::config::ContentPolicy;
use crate::lake::schema::codes::KeyKind;
use crate::rows::{ContentRow, NO_NAME, NO_NUMBER, NO_TIME, split_keys};
use crate::stream::Pending;
use key_rows::{KeyRow, KeyRows};
use stored_rows::StoredRow;

/// Most keys stored of a message.
const MAX_KEYS: usize = 4096;
/// Most keys of a message that is stored inline with each of them.
const MAX_INLINE_KEYS: usize = 8;
/// Most bytes of properties of such a message.
const MAX_INLINE_BYTES: usize = 4096;

/// What a table already has.
#[derive(Debug, Clone, Default)]
pub struct TableFloor {
    /// Position of the table in this stream.
    pub position: u64,
    /// What was read of each queue when the table was last committed: by the broker's other stream, and also by this
    /// stream if its frames are no longer known.
    pub read: Vec<Arc<QueueOffsets>>,
    /// What the other stream had brought to `message`, if that differs from what it brought to this table.
    pub beside: Option<Arc<QueueOffsets>>,
}

impl TableFloor {
    /// Whether the table has a record. `is_known` says whether `message` has it, if that was looked up.
    fn has(&self, position: u64, topic: &str, record: &Record<'_>, is_known: Option<bool>) -> bool {
        if position < self.position {
            return true;
        }
        // records of the oldest transactions have no queue offset
        let is_queued =
            !matches!(record.sys_flag.transaction(), Transaction::Prepared | Transaction::Rollback);
        let covers = |queues: &Arc<QueueOffsets>| is_queued && queues.covers(topic, record);
        let own = self.read.iter().any(covers);
        match (is_known, &self.beside) {
            (None, _) => own,
            // tables differ only where a crash left them at different positions
            (Some(_), Some(beside)) if own != covers(beside) => own,
            (Some(is_known), _) => is_known,
        }
    }
}

/// What is stored, and how much of it.
#[derive(Debug, Clone)]
pub struct RocketMqSettings {
    /// Which bodies are stored.
    pub content: ContentPolicy,
    /// Largest body that is stored.
    pub max_body: usize,
    /// Topics with traces besides the usual ones.
    pub trace_topics: Vec<String>,
}

/// Number of messages and events that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct RocketMqCounts {
    /// Messages in topics of applications.
    pub normal: u64,
    /// Retries.
    pub retry: u64,
    /// Dead letters.
    pub dead: u64,
    /// Messages that carry traces.
    pub trace: u64,
    /// Parked copies and bookkeeping records.
    pub other: u64,
    /// Trace events.
    pub events: u64,
    /// Trace records that cannot be decoded; their text is kept.
    pub undecoded_events: u64,
    /// Compressed bodies that cannot be decompressed.
    pub undecodable_bodies: u64,
}

/// Turns records into rows.
pub struct RocketMqReplay {
    settings: RocketMqSettings,
    floors: [TableFloor; 5],
    decompressor: Decompressor,
    batch: RocketMqBatch,
    /// How far every queue was read.
    pub offsets: QueueOffsets,
    /// What was read so far.
    pub counts: RocketMqCounts,
}

/// Which tables still need a record's rows.
#[derive(Clone, Copy)]
struct Needed {
    content: bool,
    trace: bool,
    message: bool,
    key: bool,
}

/// A message of a record: the record itself, or one of an inner batch.
struct Message<'a> {
    queue_offset: i64,
    flag: i32,
    body: &'a [u8],
    properties: Properties<'a>,
    /// Properties of the record around a message of an inner batch.
    outer: Option<Properties<'a>>,
}

impl RocketMqReplay {
    /// A replay that resumes from `offsets` and drops rows that tables already have.
    #[must_use]
    pub fn new(settings: RocketMqSettings, floors: [TableFloor; 5], offsets: QueueOffsets) -> RocketMqReplay {
        RocketMqReplay {
            settings,
            floors,
            decompressor: Decompressor::default(),
            batch: RocketMqBatch::default(),
            offsets,
            counts: RocketMqCounts::default(),
        }
    }

    /// Adds a record that stands at `position` of the stream.
    pub fn record(&mut self, position: u64, record: &Record<'_>) {
        self.record_beside(position, record, None);
    }

    /// Adds a record for which `is_known` says whether `message` has it, from whichever stream.
    pub fn record_beside(&mut self, position: u64, record: &Record<'_>, is_known: Option<bool>) {
        let topic = record.topic_text();
        let [content, trace, _, message, key] = &self.floors;
        let needs = |floor: &TableFloor| !floor.has(position, &topic, record, is_known);
        let needed =
            Needed { content: needs(content), trace: needs(trace), message: needs(message), key: needs(key) };
        let body = self.decompressor.body(record.sys_flag, record.body, MAX_BODY_BYTES);
        if body.state == BodyState::Undecodable {
            self.counts.undecodable_bodies += 1;
        }
        let mut messages = 1;
        if record.sys_flag.is_inner_batch() && body.state != BodyState::Undecodable {
            messages = 0;
            for (item, offset) in inner_batch::items(&body.bytes).zip(record.queue_offset..) {
                let message = Message {
                    queue_offset: offset,
                    flag: item.flag,
                    body: item.body,
                    properties: item.properties,
                    outer: Some(record.properties),
                };
                self.message(record, &topic, &message, BodyState::Plain, needed);
                messages += 1;
            }
        } else {
            let message = Message {
                queue_offset: record.queue_offset,
                flag: record.flag,
                body: &body.bytes,
                properties: record.properties,
                outer: None,
            };
            self.message(record, &topic, &message, body.state, needed);
        }
        self.offsets.last_stored = Some(record.store_timestamp);
        let next = record.queue_offset.saturating_add(messages.max(1));
        if record.sys_flag.transaction() != Transaction::Prepared
            && record.sys_flag.transaction() != Transaction::Rollback
        {
            self.offsets.read(&topic, record, next);
        }
    }

    fn message(
        &mut self,
        record: &Record<'_>,
        topic: &str,
        message: &Message<'_>,
        body_state: BodyState,
        needed: Needed,
    ) {
        let groups = &self.offsets.groups;
        let texts: Vec<(&[u8], std::borrow::Cow<'_, str>)> =
            message.properties.pairs().map(|(name, value)| (name, String::from_utf8_lossy(value))).collect();
        let property = |name: &str| {
            texts.iter().rev().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| &**value)
        };
        // what a message in a batch does not say itself is true for the whole record
        let outer = message.outer.map(|outer| OuterTexts::of(&outer)).unwrap_or_default();
        let said = |name: &str| property(name).or_else(|| outer.get(name));
        let copy =
            topics::classify(topic, &said, &self.settings.trace_topics, &|group| groups.contains(group));
        let is_trace =
            copy.kind == Kind::Trace || (copy.kind == Kind::Normal && looks_like_trace(message.body));
        let kind = if is_trace { Kind::Trace } else { copy.kind };
        self.counts.add(kind);
        let names = &mut self.batch.names;
        let offset_id = record.offset_id().to_string();
        let unique = property(names::UNIQUE_KEY);
        let own = texts.iter().find(|(name, _)| *name == names::UNIQUE_KEY.as_bytes()).map(|(_, id)| &**id);
        let message_id = unique.unwrap_or(&offset_id);
        let own_id = own.filter(|own| Some(*own) != unique).unwrap_or("");
        let origin = copy.origin_topic.as_deref().filter(|origin| *origin != topic && !is_trace);
        let row = StoredRow {
            subject: names.id(topic.as_bytes()),
            kind: kind_code(kind),
            consumer_group: copy.group.as_deref().map_or(NO_NAME, |group| names.id(group.as_bytes())),
            origin_subject: origin.map(|origin| names.id(origin.as_bytes())),
            queue_id: record.queue_id,
            sequence: message.queue_offset,
            message_id,
            own_id,
            store_time_ms: record.store_timestamp,
            born_time_ms: record.born_timestamp,
            born_host: names.id(record.born_host.to_string().as_bytes()),
            store_host: names.id(record.store_host.to_string().as_bytes()),
            tag: property(names::TAGS).map_or(NO_NAME, |tag| names.id(tag.as_bytes())),
            body_size: match body_state {
                BodyState::Undecodable | BodyState::Truncated => NO_NUMBER,
                _ => i32::try_from(message.body.len()).unwrap_or(i32::MAX),
            },
            stored_size: i32::try_from(record.size()).unwrap_or(i32::MAX),
            body_crc: record.body_crc,
            reconsume_times: record.reconsume_times,
            flag: message.flag,
            sys_flag: record.sys_flag.0,
            physical_offset: record.position,
            prepared_offset: record.prepared_transaction_offset,
            properties: message.properties.as_bytes(),
        };
        let keep_content = match self.settings.content {
            ContentPolicy::All => !is_trace,
            ContentPolicy::Dead => kind == Kind::Dead,
            ContentPolicy::None => false,
        };
        let RocketMqBatch { messages, keys, contents, .. } = &mut self.batch;
        if keep_content && needed.content {
            contents.push(&content_of(&row, message.body), self.settings.max_body);
        }
        let key_text = property(names::KEYS).unwrap_or("");
        let outer_keys = outer.get(names::KEYS).unwrap_or("");
        let has_keys = !key_text.is_empty() || !outer_keys.is_empty();
        let is_inline =
            needed.key && has_keys && !is_trace && fits_inline(key_text, outer_keys, row.properties);
        let number = (needed.message || is_inline).then(|| messages.push(&row, needed.message));
        if needed.key {
            let outer_id = outer.get(names::UNIQUE_KEY).filter(|id| Some(*id) != unique);
            let ids = Ids { unique, offset_id: &offset_id, outer: outer_id };
            push_keys(keys, &row, &ids, [key_text, outer_keys], number.filter(|_| is_inline));
        }
        if is_trace && (needed.trace || needed.key) {
            let host = record.born_host.canonical_ip().to_string();
            let carrier = TraceCarrier {
                id: &offset_id,
                subject: Some(topic),
                client_host: Some(&host),
                store_time_ms: record.store_timestamp,
            };
            // the two tables can stand at different positions after a crash
            let (events, undecoded) = self.batch.trace_rows(&carrier, message.body, needed.trace, needed.key);
            self.counts.events += events;
            self.counts.undecoded_events += undecoded;
        }
    }

    /// Adds a sample of progress that was taken at `position`.
    pub fn progress(&mut self, position: u64, sample: &ProgressSample<'_>) {
        let [_, _, floor, ..] = &self.floors;
        if position >= floor.position {
            self.batch.progress(sample);
        }
    }

    /// Adds a key whose record is gone.
    pub fn lost_key(&mut self, key: &str, offset_id: &str, store_time_ms: i64) {
        self.batch.lost_key(key, offset_id, store_time_ms);
    }

    /// What was replayed since the last call of [`RocketMqReplay::take`].
    pub(super) fn pending(&self) -> Pending {
        self.batch.pending()
    }

    /// Returns the rows and begins a new batch.
    pub fn take(&mut self) -> RocketMqBatch {
        std::mem::take(&mut self.batch)
    }
}

fn content_of<'a>(row: &StoredRow<'a>, body: &'a [u8]) -> ContentRow<'a> {
    ContentRow {
        subject: row.subject,
        kind: row.kind,
        consumer_group: row.consumer_group,
        sequence: row.sequence,
        message_id: row.message_id.as_bytes(),
        create_time_ms: row.store_time_ms,
        store_time_ms: row.store_time_ms,
        payload_subject: row.origin_subject.unwrap_or(row.subject),
        flags: 0,
        expire_time_ms: NO_TIME,
        schedule_time_ms: NO_TIME,
        tags: None,
        body,
        queue_id: row.queue_id,
        physical_offset: row.physical_offset,
    }
}

/// The key of `message_key` for a hash of an index file.
#[must_use]
pub fn lost_key_text(key_hash: u32) -> String {
    format!("#{key_hash:08x}")
}

/// Whether a message is stored inline with each of its keys. A message with many keys would be stored many times.
fn fits_inline(key_text: &str, outer_keys: &str, properties: &[u8]) -> bool {
    key_text.bytes().chain(outer_keys.bytes()).filter(|byte| *byte == b' ').count() < MAX_INLINE_KEYS
        && properties.len() <= MAX_INLINE_BYTES
}

/// Ids of a message besides those in its row.
struct Ids<'a> {
    unique: Option<&'a str>,
    offset_id: &'a str,
    /// Id of the inner batch that it came in.
    outer: Option<&'a str>,
}

/// Texts of the record around the messages of an inner batch.
#[derive(Default)]
struct OuterTexts(Vec<(String, String)>);

impl OuterTexts {
    fn of(properties: &Properties<'_>) -> OuterTexts {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        OuterTexts(properties.pairs().map(|(name, value)| (text(name), text(value))).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// Adds the keys of a message: its ids, its own keys, and the keys of the batch that it came in.
fn push_keys(
    keys: &mut KeyRows,
    row: &StoredRow<'_>,
    ids: &Ids<'_>,
    [text, outer_text]: [&str; 2],
    message: Option<u32>,
) {
    let mut push = |key: &str, kind, message| {
        keys.push(&KeyRow {
            key,
            kind,
            subject: row.subject,
            message_id: row.message_id,
            queue_id: row.queue_id,
            sequence: row.sequence,
            create_time_ms: row.store_time_ms,
            message,
            physical_offset: row.physical_offset,
        });
    };
    if let Some(unique) = ids.unique {
        push(unique, KeyKind::MessageId, None);
    }
    if !row.own_id.is_empty() {
        push(row.own_id, KeyKind::OwnId, None);
    }
    if let Some(outer) = ids.outer {
        push(outer, KeyKind::MessageId, None);
    }
    push(ids.offset_id, KeyKind::OffsetId, None);
    for key in split_keys(text).take(MAX_KEYS) {
        push(key, KeyKind::Key, message);
    }
    for key in split_keys(outer_text).take(MAX_KEYS) {
        if !split_keys(text).any(|own| own == key) {
            push(key, KeyKind::Key, message);
        }
    }
}

/// The code of a kind in `message.kind`; the first three are the same as for QMQ.
fn kind_code(kind: Kind) -> i8 {
    match kind {
        Kind::Normal => 0,
        Kind::Retry => 1,
        Kind::Dead => 2,
        Kind::Delay => 3,
        Kind::Timer => 4,
        Kind::Half => 5,
        Kind::Op => 6,
        Kind::Pop => 7,
        Kind::Trace => 8,
        Kind::Recall => 9,
        Kind::CheckMax => 10,
        Kind::System => 11,
    }
}

impl RocketMqCounts {
    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Normal => self.normal += 1,
            Kind::Retry => self.retry += 1,
            Kind::Dead => self.dead += 1,
            Kind::Trace => self.trace += 1,
            _ => self.other += 1,
        }
    }
}
