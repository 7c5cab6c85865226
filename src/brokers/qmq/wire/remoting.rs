//! Frames of QMQ's remoting protocol, as spoken with the metaserver and the sync port of a broker (`Datagram`,
//! `RemotingHeader`, `DecodeHandler`).
//!
//! [`step`] finds the one frame at the start of a buffer, without copying. It never reads from a socket, never
//! interprets a body and never looks for the next magic: after a bad frame the connection cannot be used.

use thiserror::Error;

use crate::codec::cursor::{Cursor, Short};

/// Bytes 6 to 9 of every frame.
pub const MAGIC: u32 = 0xDEC1_0ADE;
/// The only usable header size; QMQ does not skip a longer header.
pub const HEADER_SIZE: i16 = 18;
/// Size of a frame without a body, in bytes.
pub const MIN_FRAME_BYTES: usize = 24;
/// What the length field counts besides the body.
const COUNTED_BYTES: usize = 20;

/// Request: bytes of a log, or the end offsets of both logs.
pub const SYNC_LOG_REQUEST: i16 = 20;
/// Request: the checkpoints of the serving broker.
pub const SYNC_CHECKPOINT_REQUEST: i16 = 21;
/// Request to the metaserver: a broker reports that it is alive.
pub const BROKER_REGISTER: i16 = 30;
/// Request to the metaserver: group, role and sync address of a broker.
pub const BROKER_ACQUIRE_META: i16 = 40;

/// Result: done.
pub const SUCCESS: i16 = 0;
/// Result: the port has no handler for the request.
pub const UNKNOWN_CODE: i16 = 3;
/// Result: nothing to pull.
pub const NO_MESSAGE: i16 = 4;
/// Result: the handler failed or refused.
pub const BROKER_ERROR: i16 = 51;
/// Result: the broker takes no requests.
pub const BROKER_REJECT: i16 = 52;
/// Result: a parameter is wrong.
pub const PARAM_ERROR: i16 = 53;

/// Version a backup sends to the metaserver.
pub const VERSION_METASERVER: i16 = 8;
/// Version a backup sends to a sync port.
pub const VERSION_SYNC: i16 = 9;

/// Flag of a request.
pub const FLAG_REQUEST: i32 = 0;
/// Flag bit of a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Flag bit of a request that wants no response.
pub const FLAG_ONE_WAY: i32 = 2;

/// Request code of a request whose sender did not set it.
pub const REQUEST_CODE_UNSET: i16 = -1;

/// Name of a request that a backup sends, if `code` is one.
#[must_use]
pub const fn request_name(code: i16) -> Option<&'static str> {
    match code {
        SYNC_LOG_REQUEST => Some("SYNC_LOG_REQUEST"),
        SYNC_CHECKPOINT_REQUEST => Some("SYNC_CHECKPOINT_REQUEST"),
        BROKER_REGISTER => Some("BROKER_REGISTER"),
        BROKER_ACQUIRE_META => Some("BROKER_ACQUIRE_META"),
        _ => None,
    }
}

/// Name of the result code of a response, if it is known.
#[must_use]
pub const fn result_name(code: i16) -> Option<&'static str> {
    match code {
        SUCCESS => Some("SUCCESS"),
        UNKNOWN_CODE => Some("UNKNOWN_CODE"),
        NO_MESSAGE => Some("NO_MESSAGE"),
        BROKER_ERROR => Some("BROKER_ERROR"),
        BROKER_REJECT => Some("BROKER_REJECT"),
        PARAM_ERROR => Some("PARAM_ERROR"),
        _ => None,
    }
}

/// The fields of a frame besides its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Command of a request, result of a response.
    pub code: i16,
    /// Protocol version; a response repeats that of its request.
    pub version: i16,
    /// Number chosen by the requester and repeated in the response.
    pub opaque: i32,
    /// `FLAG_` bits.
    pub flag: i32,
    /// In a response the command it answers, in a request the command or [`REQUEST_CODE_UNSET`].
    pub request_code: i16,
}

impl Header {
    /// Whether the frame answers a request.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// The header of the response that a server gives to this request.
    #[must_use]
    pub const fn response(&self, code: i16) -> Self {
        Self {
            code,
            version: self.version,
            opaque: self.opaque,
            flag: FLAG_RESPONSE,
            request_code: self.code,
        }
    }
}

/// What stands at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole frame; the next one starts `size` bytes further.
    Frame {
        /// Its header.
        header: Header,
        /// Its body; can be empty.
        body: &'a [u8],
        /// Size of the whole frame in bytes.
        size: usize,
    },
    /// The buffer ends before the frame does.
    Incomplete,
    /// No frame.
    Invalid(Invalid),
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Invalid {
    /// The magic is missing: the peer speaks another protocol.
    #[error("unknown frame magic {found:#010x}")]
    BadMagic {
        /// The four bytes found.
        found: u32,
    },
    /// The header is not [`HEADER_SIZE`] bytes long.
    #[error("frame header of {0} bytes instead of {HEADER_SIZE}")]
    BadHeaderSize(i16),
    /// The frame would end inside its own header.
    #[error("bad frame length {0}")]
    BadLength(i32),
    /// The frame is larger than allowed.
    #[error("frame of {size} bytes, more than the {max_frame} allowed")]
    TooLarge {
        /// Size of the whole frame in bytes.
        size: usize,
        /// The limit.
        max_frame: usize,
    },
}

/// Decodes the frame at the start of `buf`. A frame of more than `max_frame` bytes, its header included, is invalid.
///
/// The first ten bytes are judged as soon as they are there, so that a peer of another protocol, or a frame that is
/// too large, is noticed before it is awaited.
#[inline]
#[must_use]
pub fn step(buf: &[u8], max_frame: usize) -> Step<'_> {
    match decode(buf, max_frame) {
        Ok(Ok(step)) => step,
        Ok(Err(invalid)) => Step::Invalid(invalid),
        Err(Short) => Step::Incomplete,
    }
}

#[inline]
fn decode(buf: &[u8], max_frame: usize) -> Result<Result<Step<'_>, Invalid>, Short> {
    let mut cursor = Cursor::new(buf);
    let total = cursor.i32()?;
    let header_size = cursor.i16()?;
    let found = cursor.u32()?;
    if found != MAGIC {
        return Ok(Err(Invalid::BadMagic { found }));
    }
    if header_size != HEADER_SIZE {
        return Ok(Err(Invalid::BadHeaderSize(header_size)));
    }
    let body_bytes = usize::try_from(total).ok().and_then(|total| total.checked_sub(COUNTED_BYTES));
    let Some(body_bytes) = body_bytes else {
        return Ok(Err(Invalid::BadLength(total)));
    };
    let size = body_bytes.saturating_add(MIN_FRAME_BYTES);
    if size > max_frame {
        return Ok(Err(Invalid::TooLarge { size, max_frame }));
    }
    let header = Header {
        code: cursor.i16()?,
        version: cursor.i16()?,
        opaque: cursor.i32()?,
        flag: cursor.i32()?,
        request_code: cursor.i16()?,
    };
    let body = cursor.bytes(body_bytes)?;
    Ok(Ok(Step::Frame { header, body, size }))
}

/// Appends a frame. The body may have at most 2147483627 bytes; the length of a longer one is wrapped.
pub fn encode(out: &mut Vec<u8>, header: &Header, body: &[u8]) {
    out.reserve(body.len().saturating_add(MIN_FRAME_BYTES));
    out.extend_from_slice(&(body.len().wrapping_add(COUNTED_BYTES) as u32).to_be_bytes());
    out.extend_from_slice(&HEADER_SIZE.to_be_bytes());
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.extend_from_slice(&header.code.to_be_bytes());
    out.extend_from_slice(&header.version.to_be_bytes());
    out.extend_from_slice(&header.opaque.to_be_bytes());
    out.extend_from_slice(&header.flag.to_be_bytes());
    out.extend_from_slice(&header.request_code.to_be_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
#[path = "remoting_tests.rs"]
mod tests;
