//! What the log reader needs to know about each format: the next record, and what proves a record sound.

use crate::brokers::qmq::format::payload::Payload;
use crate::brokers::qmq::format::{action_log, index_log, message_log};

/// What stands at a position of a log.
#[derive(Debug)]
pub enum Step<R> {
    /// A sound record.
    Record {
        /// The record.
        record: R,
        /// Size in bytes.
        size: usize,
    },
    /// A whole record without usable content; it is counted and skipped.
    Unusable {
        /// Size in bytes.
        size: usize,
        /// Why it is unusable.
        reason: String,
    },
    /// The log continues in the next segment.
    EndOfSegment,
    /// Only zeros follow in this file: the log continues in the next segment if there is one, and ends here otherwise.
    ZeroRest,
    /// At a segment's base: records begin at this position of the segment.
    Blank(u32),
    /// More bytes are needed to decide.
    Incomplete,
    /// No record stands here.
    Invalid(String),
}

/// Most messages that one pull is assumed to deliver.
const MAX_PULLED_MESSAGES: i64 = 1_000_000;

fn pulled_messages(action: &action_log::Action<'_>) -> i64 {
    match action.kind {
        action_log::ActionKind::Pull { first_sequence, last_sequence, .. } => {
            last_sequence.saturating_sub(first_sequence).saturating_add(1)
        }
        _ => 0,
    }
}

/// A log format.
pub trait LogFormat {
    /// Folder below the store root.
    const FOLDER: &'static str;
    /// Name of the log in error texts.
    const NAME: &'static str;
    /// Bytes of a whole segment.
    const SEGMENT_BYTES: u64;
    /// First bytes of every record, by which reading resumes behind damage; empty if there are none.
    const MAGIC: &'static [&'static [u8]];
    /// A record, borrowed from the buffer.
    type Record<'a>;
    /// What the reader remembers to distinguish new records from stale bytes.
    type Progress: Default;

    /// Decodes what stands at the start of `bytes`, `limit` bytes before the segment's end.
    fn step(bytes: &[u8], limit: usize) -> Step<Self::Record<'_>>;

    /// Notes a record that was read.
    fn note(progress: &mut Self::Progress, record: &Self::Record<'_>);

    /// Whether a record found behind damage continues the log, and is not stale: a broker that crashed cuts its log but
    /// does not wipe what stood behind the cut.
    fn continues(progress: &Self::Progress, record: &Self::Record<'_>) -> bool;
}

/// A message record with its decoded payload.
#[derive(Debug)]
pub struct MessageItem<'a> {
    /// The log record.
    pub record: message_log::MessageRecord<'a>,
    /// Its payload.
    pub payload: Payload<'a>,
}

/// The message log of a broker.
#[derive(Debug)]
pub struct MessageFormat;

/// Newest store time, and the greatest sequence of each subject, of what was read.
#[derive(Debug, Default)]
pub struct MessageProgress {
    store_time_ms: i64,
    sequences: hashbrown::HashMap<Box<[u8]>, i64>,
}

impl LogFormat for MessageFormat {
    const FOLDER: &'static str = "messagelog";
    const NAME: &'static str = "message log";
    const SEGMENT_BYTES: u64 = message_log::SEGMENT_BYTES as u64;
    const MAGIC: &'static [&'static [u8]] = &[b"\xA1\xB2\xC3\x00", b"\xA1\xB2\xC3\x01", b"\xA1\xB2\xC3\x02"];
    type Record<'a> = MessageItem<'a>;
    type Progress = MessageProgress;

    fn step(bytes: &[u8], limit: usize) -> Step<MessageItem<'_>> {
        match message_log::step(bytes, limit) {
            message_log::Step::Record(record) => {
                let size = record.size;
                if !record.crc_matches() {
                    return Step::Invalid("the checksum of the payload does not match".to_owned());
                }
                match Payload::decode(record.payload) {
                    Ok(payload) => Step::Record { record: MessageItem { record, payload }, size },
                    // without a checksum the payload is the only proof
                    Err(error) if record.crc.is_none() => Step::Invalid(error.to_string()),
                    Err(error) => Step::Unusable { size, reason: error.to_string() },
                }
            }
            message_log::Step::EndOfSegment => Step::EndOfSegment,
            message_log::Step::Blank { data_starts_at } => Step::Blank(data_starts_at),
            message_log::Step::Incomplete => Step::Incomplete,
            message_log::Step::Invalid(reason) => Step::Invalid(reason.to_string()),
        }
    }

    fn note(progress: &mut MessageProgress, item: &MessageItem<'_>) {
        progress.store_time_ms = progress.store_time_ms.max(item.record.store_time_ms);
        match progress.sequences.get_mut(item.record.subject) {
            Some(sequence) => *sequence = item.record.sequence,
            None => {
                progress.sequences.insert(item.record.subject.into(), item.record.sequence);
            }
        }
    }

    fn continues(progress: &MessageProgress, item: &MessageItem<'_>) -> bool {
        let known = progress.sequences.get(item.record.subject);
        item.record.store_time_ms >= progress.store_time_ms
            && known.is_none_or(|known| item.record.sequence > *known)
    }
}

/// The action log of a broker.
#[derive(Debug)]
pub struct ActionFormat;

impl LogFormat for ActionFormat {
    const FOLDER: &'static str = "actionlog";
    const NAME: &'static str = "action log";
    const SEGMENT_BYTES: u64 = action_log::SEGMENT_BYTES as u64;
    const MAGIC: &'static [&'static [u8]] = &[b"\xC3\xB2\xA1\x00"];
    type Record<'a> = action_log::Action<'a>;
    /// Newest timestamp.
    type Progress = i64;

    fn step(bytes: &[u8], limit: usize) -> Step<action_log::Action<'_>> {
        match action_log::step(bytes, limit) {
            action_log::Step::Action { action, size } => match pulled_messages(&action) {
                // a broker delivers a few hundred messages a pull; the log has no checksum to prove a larger number
                count if count > MAX_PULLED_MESSAGES => {
                    Step::Invalid(format!("a pull of {count} messages at once"))
                }
                _ => Step::Record { record: action, size },
            },
            action_log::Step::UnknownType { code, size } => {
                Step::Unusable { size, reason: format!("unknown action type {code}") }
            }
            action_log::Step::EndOfSegment => Step::EndOfSegment,
            action_log::Step::Blank { data_starts_at } => Step::Blank(data_starts_at),
            action_log::Step::Incomplete => Step::Incomplete,
            action_log::Step::Invalid(reason) => Step::Invalid(reason.to_string()),
        }
    }

    fn note(newest: &mut i64, action: &action_log::Action<'_>) {
        *newest = (*newest).max(action.timestamp_ms);
    }

    fn continues(newest: &i64, action: &action_log::Action<'_>) -> bool {
        action.timestamp_ms >= *newest
    }
}

/// The index log of a Java backup.
#[derive(Debug)]
pub struct IndexFormat;

impl LogFormat for IndexFormat {
    const FOLDER: &'static str = "indexlog";
    const NAME: &'static str = "index log";
    const SEGMENT_BYTES: u64 = index_log::SEGMENT_BYTES as u64;
    const MAGIC: &'static [&'static [u8]] = &[];
    type Record<'a> = index_log::IndexRecord<'a>;
    type Progress = ();

    fn step(bytes: &[u8], limit: usize) -> Step<index_log::IndexRecord<'_>> {
        match index_log::step(bytes, limit) {
            index_log::Step::Record(record) => {
                let size = record.size;
                Step::Record { record, size }
            }
            index_log::Step::EndOfFile => Step::ZeroRest,
            index_log::Step::Incomplete => Step::Incomplete,
            index_log::Step::Invalid(reason) => Step::Invalid(reason.to_string()),
        }
    }

    fn note((): &mut (), _: &index_log::IndexRecord<'_>) {}

    fn continues((): &(), _: &index_log::IndexRecord<'_>) -> bool {
        false
    }
}
