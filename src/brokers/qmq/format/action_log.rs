//! Records of the action log of a QMQ broker: what consumers pulled and acknowledged (`ActionLog`,
//! `ActionLogVisitor`, `PullActionReaderWriter`, `RangeAckActionReaderWriter`, `ForeverOfflineActionReaderWriter`).
//!
//! [`step`] decodes the one record at the start of a buffer, without copying, and applies every check that the format
//! allows. It never opens files, never looks for the next magic and never resolves pull sequences to messages. There
//! is no checksum: a torn record whose missing tail reads as zeros can pass all checks.
//!
//! A log is a sequence of segments of [`SEGMENT_BYTES`]; a record never crosses a segment end. What follows an end
//! marker is left-over bytes, not zeros, and must be skipped.

use thiserror::Error;

use crate::codec::cursor::{Cursor, Short, StrError, put_bytes16};

/// Size of a segment file in bytes (100 MiB); base offsets are multiples of it.
pub const SEGMENT_BYTES: usize = 104_857_600;
/// First four bytes of every record.
pub const MAGIC: u32 = 0xC3B2_A100;
/// Size of the smallest record, the end marker. A segment rest smaller than this holds nothing.
pub const MIN_RECORD_BYTES: usize = 5;

const ATTRIBUTE_ACTION: i8 = 0;
const ATTRIBUTE_END: i8 = 1;
const ATTRIBUTE_BLANK: i8 = 2;
const HEADER_BYTES: usize = 10;
const BLANK_BYTES: usize = 9;

const CODE_PULL: i8 = 0;
const CODE_RANGE_ACK: i8 = 1;
const CODE_FOREVER_OFFLINE: i8 = 2;
/// Most bytes the three strings of an action can have.
const MAX_TEXT_BYTES: usize = 3 * i16::MAX as usize;

/// What stands at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole action; the next record starts `size` bytes further.
    Action {
        /// The action.
        action: Action<'a>,
        /// Size of the whole record in bytes.
        size: usize,
    },
    /// A whole record of a type this version does not know. It can be skipped.
    UnknownType {
        /// The type code.
        code: i8,
        /// Size of the whole record in bytes.
        size: usize,
    },
    /// The segment ends here; the log continues at the base of the next one. Also the answer when fewer than
    /// [`MIN_RECORD_BYTES`] are left in the segment.
    EndOfSegment,
    /// The segment begins with bytes that hold no records. Only meaningful at the base of a segment.
    Blank {
        /// Position in the segment where records start: at least 9 and at most `limit`.
        data_starts_at: u32,
    },
    /// The buffer ends before the record does; the record fits in the segment as far as can be seen.
    Incomplete,
    /// No record. In the last segment this is the normal end of the log (zero bytes), elsewhere corruption.
    Invalid(Invalid),
}

/// Why bytes are not an action log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Invalid {
    /// The record does not start with the magic; 0 means a part never written.
    #[error("unknown action log magic {found:#010x}")]
    BadMagic {
        /// The four bytes found.
        found: u32,
    },
    /// The attribute is none of action, end and blank, so the size of the record is unknown.
    #[error("unknown attribute {0} of an action log record")]
    BadAttribute(i8),
    /// Negative payload size, or one that no action of the type can have.
    #[error("bad payload size {size} of an action of type {code}")]
    BadPayloadSize {
        /// The type code.
        code: i8,
        /// The payload size found.
        size: i32,
    },
    /// A blank prefix that ends inside its own header or beyond the segment.
    #[error("bad end {0} of a blank action log prefix")]
    BadBlank(i32),
    /// The record would cross the end of the segment.
    #[error("action log record of at least {needs} bytes in the last {limit} bytes of a segment")]
    BeyondSegment {
        /// Bytes the record needs, as far as its length is known.
        needs: usize,
        /// Bytes left in the segment.
        limit: usize,
    },
    /// Subject, consumer group or consumer id is empty or has a negative length.
    #[error("bad length {length} of the {field} of an action")]
    BadStringLength {
        /// Which of the strings.
        field: &'static str,
        /// The length found.
        length: i16,
    },
    /// The fields need more bytes than the payload has.
    #[error("the fields of an action of type {code} run beyond its payload of {size} bytes")]
    FieldsBeyondPayload {
        /// The type code.
        code: i8,
        /// The payload size.
        size: usize,
    },
    /// The payload has bytes that belong to no field.
    #[error("{left} bytes left over after the fields of an action of type {code}")]
    PayloadNotUsedUp {
        /// The type code.
        code: i8,
        /// Bytes after the last field.
        left: usize,
    },
    /// The time of the action is not positive.
    #[error("bad timestamp {0} of an action")]
    BadTimestamp(i64),
    /// The two ranges of a pull differ in length, or their length is negative or not a 64-bit number.
    #[error(
        "pull sequences {first_sequence}..{last_sequence} do not fit \
         message sequences {first_message_sequence}..{last_message_sequence}"
    )]
    BadPullRange {
        /// First pull sequence.
        first_sequence: i64,
        /// Last pull sequence.
        last_sequence: i64,
        /// First message sequence.
        first_message_sequence: i64,
        /// Last message sequence.
        last_message_sequence: i64,
    },
    /// The range of an ack is empty, or its length is not a 64-bit number.
    #[error("bad range {first_sequence}..{last_sequence} of an ack")]
    BadAckRange {
        /// First pull sequence.
        first_sequence: i64,
        /// Last pull sequence.
        last_sequence: i64,
    },
}

/// One action of a consumer, or of the broker on its behalf, borrowed from the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action<'a> {
    /// Full name of the queue; can be a retry queue. Not empty.
    pub subject: &'a [u8],
    /// Consumer group. Not empty.
    pub consumer_group: &'a [u8],
    /// Consumer within the group. Not empty.
    pub consumer_id: &'a [u8],
    /// Broker's clock when the action was written, in milliseconds since the Unix epoch. Positive.
    pub timestamp_ms: i64,
    /// What was done.
    pub kind: ActionKind,
}

/// What an action did. All ranges are inclusive and their length fits in an `i64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    /// Messages were handed out: pull sequence `first_sequence + i` is message `first_message_sequence + i`. Both
    /// ranges have the same length; it can be zero, with `last = first - 1`.
    Pull {
        /// Whether every consumer gets every message; then pull sequences are message sequences.
        broadcast: bool,
        /// First pull sequence.
        first_sequence: i64,
        /// Last pull sequence.
        last_sequence: i64,
        /// First message sequence.
        first_message_sequence: i64,
        /// Last message sequence.
        last_message_sequence: i64,
    },
    /// Deliveries were finished. The range can be far wider than what was ever pulled, and is never empty.
    RangeAck {
        /// First pull sequence.
        first_sequence: i64,
        /// Last pull sequence.
        last_sequence: i64,
    },
    /// The broker forgot the consumer; its pull sequences start at 0 again.
    ForeverOffline,
}

/// Decodes the record at the start of `buf`.
///
/// `limit` is the number of bytes from the start of `buf` to the end of the segment; bytes of `buf` beyond it are not
/// looked at. A record longer than `limit` is invalid; one that is only longer than `buf` is incomplete.
#[inline]
#[must_use]
pub fn step(buf: &[u8], limit: usize) -> Step<'_> {
    if limit < MIN_RECORD_BYTES {
        return Step::EndOfSegment;
    }
    match decode(buf.get(..limit).unwrap_or(buf), limit) {
        Ok(Ok(step)) => step,
        Ok(Err(invalid)) => Step::Invalid(invalid),
        Err(Short) => Step::Incomplete,
    }
}

#[inline]
fn decode(buf: &[u8], limit: usize) -> Result<Result<Step<'_>, Invalid>, Short> {
    let mut cursor = Cursor::new(buf);
    let found = cursor.u32()?;
    if found != MAGIC {
        return Ok(Err(Invalid::BadMagic { found }));
    }
    let fixed = match cursor.i8()? {
        ATTRIBUTE_END => return Ok(Ok(Step::EndOfSegment)),
        ATTRIBUTE_ACTION => HEADER_BYTES,
        ATTRIBUTE_BLANK => BLANK_BYTES,
        attribute => return Ok(Err(Invalid::BadAttribute(attribute))),
    };
    // Tested before each part is read: near the segment end a missing part can never arrive.
    if fixed > limit {
        return Ok(Err(Invalid::BeyondSegment { needs: fixed, limit }));
    }
    if fixed == BLANK_BYTES {
        let end = cursor.i32()?;
        return Ok(match u32::try_from(end) {
            Ok(data_starts_at) if (BLANK_BYTES..=limit).contains(&(data_starts_at as usize)) => {
                Ok(Step::Blank { data_starts_at })
            }
            _ => Err(Invalid::BadBlank(end)),
        });
    }
    let code = cursor.i8()?;
    let payload_size = cursor.i32()?;
    let Some(payload_bytes) = payload_bytes(code, payload_size) else {
        return Ok(Err(Invalid::BadPayloadSize { code, size: payload_size }));
    };
    let size = HEADER_BYTES.saturating_add(payload_bytes);
    if size > limit {
        return Ok(Err(Invalid::BeyondSegment { needs: size, limit }));
    }
    let payload = cursor.bytes(payload_bytes)?;
    if !(CODE_PULL..=CODE_FOREVER_OFFLINE).contains(&code) {
        return Ok(Ok(Step::UnknownType { code, size }));
    }
    Ok(action(code, payload).map(|action| Step::Action { action, size }))
}

/// The payload size, if an action of this type can have it. Checking the maximum distinguishes a corrupt size from a
/// record that is still arriving, for which the reader would otherwise wait until the end of the segment.
#[inline]
fn payload_bytes(code: i8, size: i32) -> Option<usize> {
    let size = usize::try_from(size).ok()?;
    let fixed = match code {
        CODE_PULL => 47,
        CODE_RANGE_ACK => 30,
        CODE_FOREVER_OFFLINE => 14,
        _ => return Some(size),
    };
    (fixed..=fixed + MAX_TEXT_BYTES).contains(&size).then_some(size)
}

#[inline]
fn action(code: i8, payload: &[u8]) -> Result<Action<'_>, Invalid> {
    let beyond = |Short| Invalid::FieldsBeyondPayload { code, size: payload.len() };
    let mut cursor = Cursor::new(payload);
    let mut text = |field| match cursor.str16() {
        Ok([]) => Err(Invalid::BadStringLength { field, length: 0 }),
        Ok(text) => Ok(text),
        Err(StrError::NegativeLength(length)) => Err(Invalid::BadStringLength { field, length }),
        Err(StrError::Short) => Err(beyond(Short)),
    };
    let subject = text("subject")?;
    let consumer_group = text("consumer group")?;
    let consumer_id = text("consumer id")?;
    let timestamp_ms = cursor.i64().map_err(beyond)?;
    if timestamp_ms <= 0 {
        return Err(Invalid::BadTimestamp(timestamp_ms));
    }
    let kind = kind(code, &mut cursor).map_err(beyond)??;
    match cursor.remaining() {
        0 => Ok(Action { subject, consumer_group, consumer_id, timestamp_ms, kind }),
        left => Err(Invalid::PayloadNotUsedUp { code, left }),
    }
}

#[inline]
fn kind(code: i8, cursor: &mut Cursor<'_>) -> Result<Result<ActionKind, Invalid>, Short> {
    if code == CODE_FOREVER_OFFLINE {
        return Ok(Ok(ActionKind::ForeverOffline));
    }
    // QMQ's reader takes any byte other than 1 for false.
    let broadcast = code == CODE_PULL && cursor.i8()? == 1;
    let (first_sequence, last_sequence) = (cursor.i64()?, cursor.i64()?);
    let count = count(first_sequence, last_sequence);
    if code == CODE_RANGE_ACK {
        return Ok(match count {
            Some(1..) => Ok(ActionKind::RangeAck { first_sequence, last_sequence }),
            _ => Err(Invalid::BadAckRange { first_sequence, last_sequence }),
        });
    }
    let (first_message_sequence, last_message_sequence) = (cursor.i64()?, cursor.i64()?);
    if !matches!(count, Some(0..)) || count != self::count(first_message_sequence, last_message_sequence) {
        return Ok(Err(Invalid::BadPullRange {
            first_sequence,
            last_sequence,
            first_message_sequence,
            last_message_sequence,
        }));
    }
    Ok(Ok(ActionKind::Pull {
        broadcast,
        first_sequence,
        last_sequence,
        first_message_sequence,
        last_message_sequence,
    }))
}

/// Length of an inclusive range, if it is a 64-bit number.
#[inline]
fn count(first: i64, last: i64) -> Option<i64> {
    last.checked_sub(first)?.checked_add(1)
}

/// Appends an action record. Nothing is checked, so that tests can write what [`step`] must refuse.
///
/// Strings may have at most 32767 bytes; like QMQ's writer, longer ones get a wrapped length and are unreadable.
pub fn encode(out: &mut Vec<u8>, action: &Action<'_>) {
    let (code, broadcast, sequences) = match action.kind {
        ActionKind::Pull {
            broadcast,
            first_sequence,
            last_sequence,
            first_message_sequence,
            last_message_sequence,
        } => {
            let sequences = [first_sequence, last_sequence, first_message_sequence, last_message_sequence];
            (CODE_PULL, Some(broadcast), Vec::from(sequences))
        }
        ActionKind::RangeAck { first_sequence, last_sequence } => {
            (CODE_RANGE_ACK, None, vec![first_sequence, last_sequence])
        }
        ActionKind::ForeverOffline => (CODE_FOREVER_OFFLINE, None, Vec::new()),
    };
    let mut payload = Vec::new();
    for text in [action.subject, action.consumer_group, action.consumer_id] {
        put_bytes16(&mut payload, text);
    }
    payload.extend_from_slice(&action.timestamp_ms.to_be_bytes());
    payload.extend(broadcast.map(u8::from));
    payload.extend(sequences.into_iter().flat_map(i64::to_be_bytes));
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.extend([ATTRIBUTE_ACTION, code].map(i8::cast_unsigned));
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(&payload);
}

/// Appends an end marker and `padding`, the left-over bytes that QMQ leaves between the marker and the segment end.
pub fn encode_end_of_segment(out: &mut Vec<u8>, padding: &[u8]) {
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.push(ATTRIBUTE_END.cast_unsigned());
    out.extend_from_slice(padding);
}

#[cfg(test)]
#[path = "action_log_tests.rs"]
mod tests;
