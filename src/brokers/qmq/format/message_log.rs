//! Records of the message log of a QMQ broker (`MessageLog`, `MessageLogRecordVisitor`).
//!
//! [`step`] decodes the one record at the start of a buffer, without copying. It never opens files, never searches for
//! the next magic, never looks into the payload (see [`super::payload`]) and never verifies the CRC, because that
//! costs a pass over the payload: use [`MessageRecord::crc_matches`] where bytes can be stale or torn.
//!
//! A log is a sequence of segments of [`SEGMENT_BYTES`]; a record never crosses a segment end.

use thiserror::Error;

use crate::codec::cursor::{Cursor, Short, put_bytes16};

/// Size of a segment file in bytes; base offsets are multiples of it.
pub const SEGMENT_BYTES: usize = 1 << 30;
/// Magic of records without a CRC.
pub const MAGIC_V1: u32 = 0xA1B2_C300;
/// Magic of records with a CRC.
pub const MAGIC_V2: u32 = 0xA1B2_C301;
/// Magic of records with a CRC whose payload may have tags; what current brokers write.
pub const MAGIC_V3: u32 = 0xA1B2_C302;
/// Size of the smallest record, the end marker. A segment rest smaller than this holds nothing.
pub const MIN_RECORD_BYTES: usize = 13;

const ATTRIBUTE_MESSAGE: i8 = 0;
const ATTRIBUTE_END: i8 = 1;
const ATTRIBUTE_BLANK: i8 = 2;
const BLANK_BYTES: usize = 17;
/// Bytes of a message record apart from its subject and payload.
const FIXED_BYTES_V1: usize = 27;
const FIXED_BYTES: usize = 35;

/// What stands at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole message record; the next one starts [`MessageRecord::size`] bytes further.
    Record(MessageRecord<'a>),
    /// The segment ends here; the log continues at the base of the next one. Also the answer when fewer than
    /// [`MIN_RECORD_BYTES`] are left in the segment.
    EndOfSegment,
    /// The segment begins with bytes that hold no records. Only meaningful at the base of a segment.
    Blank {
        /// Position in the segment where records start: at least 17 and at most `limit`.
        data_starts_at: u32,
    },
    /// The buffer ends before the record does; the record fits in the segment as far as can be seen.
    Incomplete,
    /// No record. In the last segment this is the normal end of the log (zero bytes), elsewhere corruption.
    Invalid(Invalid),
}

/// Why bytes are not a message log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Invalid {
    /// The record does not start with one of the three magics; 0 means a part never written.
    #[error("unknown message log magic {found:#010x}")]
    BadMagic {
        /// The four bytes found.
        found: u32,
    },
    /// Negative subject length.
    #[error("bad subject length {0} in a message log record")]
    BadSubjectLength(i16),
    /// Negative payload length.
    #[error("bad payload length {0} in a message log record")]
    BadPayloadLength(i32),
    /// A blank prefix that ends inside its own header or beyond the segment.
    #[error("bad end {0} of a blank message log prefix")]
    BadBlank(i32),
    /// The record would cross the end of the segment.
    #[error("message log record of at least {needs} bytes in the last {limit} bytes of a segment")]
    BeyondSegment {
        /// Bytes the record needs, as far as its length is known.
        needs: usize,
        /// Bytes left in the segment.
        limit: usize,
    },
}

/// A message as stored, borrowed from the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRecord<'a> {
    /// Record version, 1 to 3, from the magic.
    pub version: u8,
    /// When the broker wrote the record, in milliseconds since the Unix epoch.
    pub store_time_ms: i64,
    /// Position in the queue of `subject` in this broker group.
    pub sequence: i64,
    /// Full name of the queue. It decides which queue `sequence` counts in, also where the payload names another.
    pub subject: &'a [u8],
    /// CRC-32 of the payload as stored (upper half zero in a sound record); `None` in version 1.
    pub crc: Option<i64>,
    /// The message, see [`super::payload::Payload`].
    pub payload: &'a [u8],
    /// Size of the whole record in bytes.
    pub size: usize,
}

impl MessageRecord<'_> {
    /// Whether the payload has the stored CRC. Always true in version 1, which stores none.
    #[must_use]
    pub fn crc_matches(&self) -> bool {
        self.crc.is_none_or(|crc| crc == i64::from(crc32fast::hash(self.payload)))
    }
}

/// Decodes the record at the start of `buf`.
///
/// `limit` is the number of bytes from the start of `buf` to the end of the segment; bytes of `buf` beyond it are not
/// looked at. A record longer than `limit` is invalid; one that is only longer than `buf` is incomplete. Every
/// attribute other than end and blank is a message, as for QMQ's own reader.
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
    let version = match cursor.u32()? {
        MAGIC_V3 => 3,
        MAGIC_V2 => 2,
        MAGIC_V1 => 1,
        found => return Ok(Err(Invalid::BadMagic { found })),
    };
    let attribute = cursor.i8()?;
    let store_time_ms = cursor.i64()?;
    let fixed = match attribute {
        ATTRIBUTE_END => return Ok(Ok(Step::EndOfSegment)),
        ATTRIBUTE_BLANK => BLANK_BYTES,
        _ if version == 1 => FIXED_BYTES_V1,
        _ => FIXED_BYTES,
    };
    // Tested before each part is read: near the segment end a missing part can never arrive.
    if fixed > limit {
        return Ok(Err(Invalid::BeyondSegment { needs: fixed, limit }));
    }
    if attribute == ATTRIBUTE_BLANK {
        let end = cursor.i32()?;
        return Ok(match u32::try_from(end) {
            Ok(data_starts_at) if (BLANK_BYTES..=limit).contains(&(data_starts_at as usize)) => {
                Ok(Step::Blank { data_starts_at })
            }
            _ => Err(Invalid::BadBlank(end)),
        });
    }
    let sequence = cursor.i64()?;
    let subject_length = cursor.i16()?;
    let Ok(subject_bytes) = usize::try_from(subject_length) else {
        return Ok(Err(Invalid::BadSubjectLength(subject_length)));
    };
    let header = fixed + subject_bytes;
    if header > limit {
        return Ok(Err(Invalid::BeyondSegment { needs: header, limit }));
    }
    let subject = cursor.bytes(subject_bytes)?;
    let crc = if version == 1 { None } else { Some(cursor.i64()?) };
    let payload_length = cursor.i32()?;
    let Ok(payload_bytes) = usize::try_from(payload_length) else {
        return Ok(Err(Invalid::BadPayloadLength(payload_length)));
    };
    let size = header.saturating_add(payload_bytes);
    if size > limit {
        return Ok(Err(Invalid::BeyondSegment { needs: size, limit }));
    }
    let payload = cursor.bytes(payload_bytes)?;
    Ok(Ok(Step::Record(MessageRecord { version, store_time_ms, sequence, subject, crc, payload, size })))
}

/// Appends a message record. A version other than 1 and 2 writes version 3.
///
/// The subject may have at most 32767 bytes (QMQ's writer takes 989), the payload at most `i32::MAX`; like QMQ's
/// writer, longer ones get a wrapped length and are unreadable.
pub fn encode(
    out: &mut Vec<u8>,
    version: u8,
    store_time_ms: i64,
    sequence: i64,
    subject: &str,
    payload: &[u8],
) {
    let magic = match version {
        1 => MAGIC_V1,
        2 => MAGIC_V2,
        _ => MAGIC_V3,
    };
    out.reserve(FIXED_BYTES + subject.len() + payload.len());
    put_head(out, magic, ATTRIBUTE_MESSAGE, store_time_ms);
    out.extend_from_slice(&sequence.to_be_bytes());
    put_bytes16(out, subject.as_bytes());
    if version != 1 {
        out.extend_from_slice(&i64::from(crc32fast::hash(payload)).to_be_bytes());
    }
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends an end marker and zero bytes, `free_bytes` bytes in all.
///
/// QMQ writes a marker only where at least [`MIN_RECORD_BYTES`] are free; with less the marker is cut.
pub fn encode_end_of_segment(out: &mut Vec<u8>, store_time_ms: i64, free_bytes: usize) {
    let end = out.len().saturating_add(free_bytes);
    put_head(out, MAGIC_V3, ATTRIBUTE_END, store_time_ms);
    out.resize(end, 0);
}

fn put_head(out: &mut Vec<u8>, magic: u32, attribute: i8, store_time_ms: i64) {
    out.extend_from_slice(&magic.to_be_bytes());
    out.extend_from_slice(&attribute.to_be_bytes());
    out.extend_from_slice(&store_time_ms.to_be_bytes());
}

#[cfg(test)]
#[path = "message_log_tests.rs"]
mod tests;
