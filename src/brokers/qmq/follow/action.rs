//! What an answer of the action stream means (`qmq-wire` 3.4, 5.2 and 10.1).
//!
//! The stream is the raw action log, cut at any byte. [`ActionTail`] keeps the incomplete end of an answer until the
//! rest of the record arrives, so a record may be larger than an answer (E2). It never interprets an action beyond what
//! proves it whole.

use bytes::{Bytes, BytesMut};

use crate::brokers::qmq::store::{ActionFormat, LogFormat, Step};

const SEGMENT: u64 = ActionFormat::SEGMENT_BYTES;
/// No broker writes a larger record: more bytes without a whole record are not an action log.
const MAX_RECORD_BYTES: usize = 1 << 20;

/// Bytes received from `position` on that do not form a whole record yet.
#[derive(Debug)]
pub(super) struct ActionTail {
    position: u64,
    bytes: BytesMut,
    /// Whether only zeros have been seen since the base of the segment.
    in_zeros: bool,
}

/// What to do with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Idle,
    /// More bytes of a record that is still incomplete.
    Partial,
    /// Whole records from the position up to `to`; `records` is empty if only padding was passed.
    Accept {
        /// Next position.
        to: u64,
        /// The records, back to back.
        records: Bytes,
    },
    /// The broker no longer has what lies before `to` (E10).
    Gap {
        /// Where its log begins.
        to: u64,
    },
    /// The broker's log is shorter than what was read of it, or it is another log (E11).
    Reset {
        /// Offset it answered with.
        broker_end: u64,
    },
    /// No record stands here and none can be found (E7, E8).
    Damaged {
        /// Offset of the damage.
        at: u64,
        /// What stands there.
        reason: String,
    },
}

impl ActionTail {
    pub(super) fn new(position: u64) -> ActionTail {
        ActionTail { position, bytes: BytesMut::new(), in_zeros: false }
    }

    /// Offset of the first byte that belongs to no accepted record.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Offset to request next.
    pub(super) fn wanted(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }

    /// Continues at another position.
    pub(super) fn seek(&mut self, position: u64) {
        *self = ActionTail::new(position);
    }

    /// Judges the answer to a request from [`ActionTail::wanted`]. After `Accept` and `Gap` the position has moved and
    /// the accepted bytes are dropped.
    pub(super) fn answer(&mut self, start_offset: i64, data: &Bytes, broker_end: Option<u64>) -> Verdict {
        let start = u64::try_from(start_offset).unwrap_or(0);
        let wanted = self.wanted();
        if data.is_empty() && start <= wanted {
            if broker_end.is_some_and(|end| end < self.position) {
                return Verdict::Reset { broker_end: broker_end.unwrap_or_default() };
            }
            // whole records can follow a blank prefix within the bytes kept so far
            return match self.take(Bytes::new()) {
                Verdict::Partial => Verdict::Idle,
                other => other,
            };
        }
        if start < wanted {
            return Verdict::Reset { broker_end: start };
        }
        if start > wanted {
            self.seek(start);
            return Verdict::Gap { to: start };
        }
        self.take(data.clone())
    }

    fn take(&mut self, data: Bytes) -> Verdict {
        let all = if self.bytes.is_empty() {
            // the usual case: nothing was kept, so the records stay in the received buffer
            data
        } else {
            self.bytes.extend_from_slice(&data);
            self.bytes.split().freeze()
        };
        let walk = walk(&all, self.position, self.in_zeros);
        let verdict = walk.verdict(&all, self.position);
        self.bytes.extend_from_slice(walk.left(&all));
        self.position = walk.end;
        self.in_zeros = walk.in_zeros;
        verdict
    }
}

/// How far whole records reach in a buffer.
struct Walk {
    /// Bytes of whole records.
    records: usize,
    /// Position behind them, and behind the padding of a segment's end.
    end: u64,
    /// First byte to keep for the next answer; `None` if nothing is left over.
    rest: Option<usize>,
    damage: Option<String>,
    in_zeros: bool,
}

fn walk(bytes: &[u8], position: u64, in_zeros: bool) -> Walk {
    let mut at = 0;
    loop {
        let offset = position + at as u64;
        let limit = usize::try_from(SEGMENT - offset % SEGMENT).unwrap_or(usize::MAX);
        let rest = bytes.get(at..).unwrap_or_default();
        let done = |end: u64, rest: Option<usize>, damage: Option<String>| Walk {
            records: at,
            end,
            rest,
            damage,
            in_zeros: false,
        };
        if rest.is_empty() {
            return done(offset, None, None);
        }
        let next_segment = offset + limit as u64;
        match ActionFormat::step(rest, limit) {
            Step::Record { size, .. } | Step::Unusable { size, .. } => at += size,
            // what follows is padding, possibly with bytes of records, so it is never read (E3)
            Step::EndOfSegment | Step::ZeroRest => return done(next_segment, None, None),
            Step::Incomplete if rest.len() < MAX_RECORD_BYTES => return done(offset, Some(at), None),
            Step::Incomplete => {
                return done(offset, Some(at), Some("a record that does not end".to_owned()));
            }
            Step::Blank(_) if !offset.is_multiple_of(SEGMENT) => {
                return done(offset, Some(at), Some("a blank prefix inside a segment".to_owned()));
            }
            Step::Blank(start) => {
                let data = offset - offset % SEGMENT + u64::from(start);
                let skip = usize::try_from(data - offset).unwrap_or(usize::MAX);
                // only valid at the base of a segment; the records after it come with the next answer
                return done(data, (skip < rest.len()).then_some(at + skip), None);
            }
            Step::Invalid(reason) => {
                let zeros = zeros(rest, limit);
                let is_blank = zeros > 0 && (offset.is_multiple_of(SEGMENT) || (at == 0 && in_zeros));
                if !is_blank {
                    return done(offset, Some(at), Some(reason));
                }
                let left = (zeros < rest.len()).then_some(at + zeros);
                return Walk { in_zeros: left.is_none(), ..done(offset + zeros as u64, left, None) };
            }
        }
    }
}

/// Number of leading zero bytes, in a segment that a slave began to fill in the middle (E25).
fn zeros(rest: &[u8], limit: usize) -> usize {
    rest.iter().take(limit).take_while(|byte| **byte == 0).count()
}

impl Walk {
    fn verdict(&self, bytes: &Bytes, position: u64) -> Verdict {
        if self.end > position {
            return Verdict::Accept { to: self.end, records: bytes.slice(..self.records.min(bytes.len())) };
        }
        match &self.damage {
            Some(reason) => Verdict::Damaged { at: self.end, reason: reason.clone() },
            None => Verdict::Partial,
        }
    }

    fn left<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        // damaged bytes are requested again, so that a repaired broker is noticed
        match self.rest {
            Some(rest) if self.damage.is_none() => bytes.get(rest..).unwrap_or_default(),
            _ => &[],
        }
    }
}

#[cfg(test)]
#[path = "action_tests.rs"]
mod tests;
