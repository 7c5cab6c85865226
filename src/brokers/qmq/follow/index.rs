//! What an answer of the index stream means (`qmq-wire` 3.2, 3.5, 4.1 and 10.1).
//!
//! Pure: it takes a position, an answer and the end of the broker's log, and decides what to do next. It never talks to
//! a broker.

use super::runs::Runs;
use crate::brokers::qmq::format::index_log::{IndexRecord, Step};
use crate::brokers::qmq::format::message_log::{MIN_RECORD_BYTES, SEGMENT_BYTES};
use crate::brokers::qmq::format::subject::SubjectName;
use crate::brokers::qmq::format::{Kind, index_log};
use crate::config::ContentPolicy;

/// If an answer skips more log bytes than this, beyond those of large messages, the message log itself is read.
const SUSPICIOUS_STEP: u64 = 1 << 20;
/// Assumed largest size of a message when a skip is judged.
const LARGE_MESSAGE: u64 = 256 << 10;
const SEGMENT: u64 = SEGMENT_BYTES as u64;

/// What to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Idle,
    /// The records can be used as they are; continue at `to`.
    Accept {
        /// Next offset to ask for.
        to: u64,
    },
    /// As `Accept`, but contents of dead letters have to be fetched first.
    Fetch {
        /// Next offset to ask for.
        to: u64,
    },
    /// This stretch of the message log has to be read, to identify the records or to get their content.
    Consult {
        /// End of the stretch.
        to: u64,
    },
    /// The stream stops in the last bytes of a segment (E5): continue at the next segment.
    NextSegment {
        /// Its base.
        to: u64,
    },
    /// The broker's log is shorter than what was read of it (E11).
    Reset {
        /// End of the broker's log.
        broker_end: u64,
    },
}

/// Judges the answer to a request from `position`. `broker_end` is the last reported end of the broker's message log.
/// `runs` learns the records that are certain. If the same answer is judged twice, the second time it is suspect, which
/// costs a read of the message log and loses nothing.
pub(super) fn judge(
    position: u64,
    start_offset: i64,
    data: &[u8],
    broker_end: Option<u64>,
    runs: &mut Runs,
    content: ContentPolicy,
) -> Verdict {
    let next = u64::try_from(start_offset).unwrap_or(0);
    if next < position {
        return Verdict::Reset { broker_end: next };
    }
    if next == position {
        if let Some(broker_end) = broker_end.filter(|end| *end < position) {
            return Verdict::Reset { broker_end };
        }
        let left = SEGMENT - position % SEGMENT;
        let is_complete = broker_end.is_some_and(|end| end >= position + left);
        return if left < MIN_RECORD_BYTES as u64 && is_complete {
            Verdict::NextSegment { to: position + left }
        } else {
            Verdict::Idle
        };
    }
    match needs(next - position, data, runs, content) {
        Needs::Nothing => Verdict::Accept { to: next },
        Needs::Contents => Verdict::Fetch { to: next },
        Needs::MessageLog => Verdict::Consult { to: next },
    }
}

/// What an answer needs from elsewhere.
enum Needs {
    Nothing,
    Contents,
    MessageLog,
}

fn needs(step: u64, data: &[u8], runs: &mut Runs, content: ContentPolicy) -> Needs {
    if data.is_empty() {
        // messages without a name and the rest of a segment are skipped like this, but so is everything behind a
        // damaged record (E6), in a segment that begins with zeros (E25) or one that was just being removed
        return Needs::MessageLog;
    }
    let mut rest = data;
    let mut records = 0;
    let mut has_dead_letters = false;
    while !rest.is_empty() {
        // the record is cut or unreadable, so the records behind it are lost in this answer (E26)
        let Step::Record(record) = index_log::step(rest, rest.len()) else {
            return Needs::MessageLog;
        };
        if !runs.is_certain(&record) || content == ContentPolicy::All {
            return Needs::MessageLog;
        }
        has_dead_letters |= content == ContentPolicy::Dead && is_dead_letter(&record);
        runs.note(record.subject, record.sequence);
        records += 1;
        rest = rest.get(record.size..).unwrap_or_default();
    }
    // the skip is much larger than these messages can be: there is damage behind them (E6)
    if step > SUSPICIOUS_STEP + records * LARGE_MESSAGE {
        return Needs::MessageLog;
    }
    if has_dead_letters { Needs::Contents } else { Needs::Nothing }
}

/// Whether a record is of a dead letter.
pub(super) fn is_dead_letter(record: &IndexRecord<'_>) -> bool {
    record.subject.starts_with(b"%DEAD_RETRY")
        && SubjectName::parse(&String::from_utf8_lossy(record.subject)).kind == Kind::Dead
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
