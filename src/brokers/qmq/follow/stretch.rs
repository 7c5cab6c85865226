//! Reads a stretch of the message log itself (sync type 2) where the index stream does not say enough: retries that the
//! broker wrote, contents to be stored, answers that were cut.
//!
//! This request is sent only to a slave: on a master it would count as progress of the master's slave (`qmq-wire` 3.8).
//! One record is in memory at a time; of a record without wanted content only its position is kept.

use bytes::BytesMut;

use super::frames;
use super::runs::Runs;
use crate::brokers::qmq::format::Kind;
use crate::brokers::qmq::format::subject::SubjectName;
use crate::brokers::qmq::store::{LogFormat, MessageFormat, MessageItem, Step};
use crate::brokers::qmq::wire::{PeerError, SyncClient};
use crate::config::ContentPolicy;

const SEGMENT: u64 = MessageFormat::SEGMENT_BYTES;
/// Empty answers, at an offset for which the index stream has shown records, before the broker counts as having none.
const EMPTY_ANSWERS: usize = 20;
/// From this payload size on, not even a dead letter's content passes through the spool.
const LARGEST_WHOLE: usize = 32 << 20;
/// A record that seems larger is damage: its length was garbled.
const LARGEST_RECORD: usize = 128 << 20;
/// Bytes of entries after which a stretch ends early.
const MOST_BYTES: usize = 8 << 20;

/// What a stretch holds.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Payload of a [`frames::MESSAGES`] frame.
    pub(super) payload: Vec<u8>,
    /// Where the next stretch begins.
    pub(super) to: u64,
    /// Records whose payload cannot be read.
    pub(super) unusable: u64,
    /// Why the rest of the stretch could not be read and was skipped.
    pub(super) damage: Option<String>,
}

/// Why there is no stretch.
#[derive(Debug, thiserror::Error)]
pub(super) enum StretchError {
    /// The broker did not answer or refused.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The broker's log begins later (E10).
    #[error("the broker's message log begins at offset {to}")]
    Gap {
        /// Where.
        to: u64,
    },
    /// The broker's log ends before it (E11).
    #[error("the broker's message log answers from offset {broker_end}")]
    Reset {
        /// Offset it answered with.
        broker_end: u64,
    },
}

/// Whether a message is stored with its content.
fn is_kept_whole(content: ContentPolicy, item: &MessageItem<'_>) -> bool {
    let is_wanted = match content {
        ContentPolicy::All => true,
        ContentPolicy::Dead => kind(item.record.subject) == Kind::Dead,
        ContentPolicy::None => false,
    };
    is_wanted && item.record.payload.len() <= LARGEST_WHOLE
}

fn kind(queue: &[u8]) -> Kind {
    if !queue.starts_with(b"%") {
        return Kind::Normal;
    }
    SubjectName::parse(&String::from_utf8_lossy(queue)).kind
}

/// Reads from `from` up to `to`, or less if contents are large; `runs` learns what is read. If the end is certain, the
/// broker has shown that a record ends there, and what cannot be read before it is skipped.
pub(super) async fn read(
    client: &SyncClient,
    from: u64,
    to: u64,
    content: ContentPolicy,
    is_end_sure: bool,
    runs: &mut Runs,
) -> Result<Stretch, StretchError> {
    let mut stretch = Stretch { payload: Vec::new(), to: from, unusable: 0, damage: None };
    let mut bytes = BytesMut::new();
    let mut empty = 0;
    while stretch.to < to && stretch.payload.len() < MOST_BYTES {
        let asked = stretch.to + bytes.len() as u64;
        let answer = client.message(i64::try_from(asked).unwrap_or(i64::MAX)).await?;
        let start = u64::try_from(answer.start_offset).unwrap_or(0);
        if answer.data.is_empty() {
            empty += 1;
            if empty >= EMPTY_ANSWERS && !is_end_sure {
                return Ok(stretch);
            }
            if empty >= EMPTY_ANSWERS {
                let reason =
                    format!("the broker has no bytes at offset {asked}, though its index stream went on");
                return Ok(pass_over(stretch, to, reason));
            }
            continue;
        }
        if start != asked && stretch.to > from {
            // what was read so far is sound; the next request meets the error again
            return Ok(stretch);
        }
        if start < asked {
            return Err(StretchError::Reset { broker_end: start });
        }
        if start > asked {
            return Err(StretchError::Gap { to: start });
        }
        empty = 0;
        bytes.extend_from_slice(&answer.data);
        if bytes.len() > LARGEST_RECORD {
            let reason = format!("a record of more than {LARGEST_RECORD} bytes");
            return Ok(if is_end_sure { pass_over(stretch, to, reason) } else { stretch });
        }
        if let Some(reason) = take_records(&mut bytes, &mut stretch, to, content, runs) {
            return Ok(if is_end_sure { pass_over(stretch, to, reason) } else { stretch });
        }
    }
    Ok(stretch)
}

fn pass_over(stretch: Stretch, to: u64, reason: String) -> Stretch {
    let damage = Some(format!("offsets {} to {to}: {reason}", stretch.to));
    Stretch { to, damage, ..stretch }
}

/// Removes whole records from the front; returns the reason if no record begins there.
fn take_records(
    bytes: &mut BytesMut,
    stretch: &mut Stretch,
    to: u64,
    content: ContentPolicy,
    runs: &mut Runs,
) -> Option<String> {
    let mut taken = 0;
    let mut damage = None;
    while stretch.to < to && stretch.payload.len() < MOST_BYTES {
        let rest = bytes.get(taken..).unwrap_or_default();
        let limit = usize::try_from(SEGMENT - stretch.to % SEGMENT).unwrap_or(usize::MAX);
        if rest.is_empty() && limit >= crate::brokers::qmq::format::message_log::MIN_RECORD_BYTES {
            break;
        }
        match MessageFormat::step(rest, limit) {
            Step::Record { record, size } => {
                keep(stretch, &record, rest.get(..size).unwrap_or_default(), content);
                runs.note(record.record.subject, record.record.sequence);
                taken += size;
                stretch.to += size as u64;
            }
            Step::Unusable { size, .. } => {
                stretch.unusable += 1;
                taken += size;
                stretch.to += size as u64;
            }
            Step::EndOfSegment | Step::ZeroRest => {
                bytes.clear();
                stretch.to += limit as u64;
                return None;
            }
            Step::Blank(_) if !stretch.to.is_multiple_of(SEGMENT) => {
                damage = Some("a blank prefix inside a segment".to_owned());
                break;
            }
            Step::Blank(start) => {
                bytes.clear();
                stretch.to = stretch.to - stretch.to % SEGMENT + u64::from(start);
                return None;
            }
            Step::Incomplete => break,
            Step::Invalid(reason) => {
                // a slave that began in the middle of a segment has zeros before its first record (E25)
                let zeros = rest.iter().take(limit).take_while(|byte| **byte == 0).count();
                if zeros == 0 || (!stretch.to.is_multiple_of(SEGMENT) && taken > 0) {
                    damage = Some(reason);
                    break;
                }
                taken += zeros;
                stretch.to += zeros as u64;
            }
        }
    }
    let _ = bytes.split_to(taken.min(bytes.len()));
    damage
}

fn keep(stretch: &mut Stretch, item: &MessageItem<'_>, record: &[u8], content: ContentPolicy) {
    let payload = &item.payload;
    // the index stream has no record for them either, so both ways give the same rows
    if payload.subject.is_empty() || payload.message_id.is_empty() {
        return;
    }
    if is_kept_whole(content, item) {
        frames::put_whole(&mut stretch.payload, stretch.to, record);
    } else {
        frames::put_named(&mut stretch.payload, stretch.to, item);
    }
}
