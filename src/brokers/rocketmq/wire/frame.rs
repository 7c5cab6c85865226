//! Frames of the remoting protocol (RocketMQ remoting: outer layout).
//!
//! A frame is its length in four bytes, the type and length of its header in four more, the header, and the body.
//! [`decode`] takes the one frame at the start of a buffer and reads both header types; [`encode`] writes either. They
//! never read from a socket and never search for the next frame after a bad one: then the connection cannot be used.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::command::Command;
use super::header_error::{EncodeError, HeaderError, HeaderType};
use super::{compact_header, json_header};

/// Largest frame that servers take and send with default settings, its four length bytes included.
pub const DEFAULT_MAX_FRAME: usize = 16 * 1024 * 1024;
/// Bytes before the header.
const PREFIX_BYTES: usize = 8;
/// Bytes of the length, which it does not count itself.
const LENGTH_BYTES: usize = 4;
/// Largest header: its length has three bytes.
const MAX_HEADER: usize = 0x00FF_FFFF;
/// Smaller bodies are copied, so that keeping one does not keep a whole read buffer in memory.
const COPIED_BYTES: usize = 4 * 1024;

/// Why bytes are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is negative or too small to count the header's length.
    #[error("bad frame length {0}")]
    BadLength(i32),
    /// The frame is larger than allowed. Bytes of another protocol usually read like that, too.
    #[error("frame of {size} bytes, more than the {max_frame} allowed")]
    TooLarge {
        /// Size of the whole frame in bytes.
        size: usize,
        /// The limit.
        max_frame: usize,
    },
    /// Neither JSON nor compact.
    #[error("unknown header type {0}")]
    UnknownHeaderType(u8),
    /// The header would end behind the frame.
    #[error("header of {header} bytes in a frame that has {available} left")]
    HeaderTooLong {
        /// Length of the header in bytes.
        header: usize,
        /// What the frame has after its prefix, in bytes.
        available: usize,
    },
    /// The header is not readable.
    #[error("bad header: {0}")]
    Header(#[from] HeaderError),
}

/// Takes the frame at the start of `buffer`, or returns `None` and takes nothing if it is not there as a whole.
///
/// Length and header type are judged as soon as they are there, so that a frame of another protocol, or one of more
/// than `max_frame` bytes with its four length bytes, is noticed before it is awaited.
///
/// # Errors
/// [`FrameError`]; the content of the buffer cannot be used then.
pub fn decode(buffer: &mut BytesMut, max_frame: usize) -> Result<Option<Command>, FrameError> {
    let Some((length, rest)) = buffer.split_first_chunk() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    let counted = usize::try_from(length).map_err(|_| FrameError::BadLength(length))?;
    let available = counted.checked_sub(PREFIX_BYTES - LENGTH_BYTES).ok_or(FrameError::BadLength(length))?;
    let size = counted.saturating_add(LENGTH_BYTES);
    if size > max_frame {
        return Err(FrameError::TooLarge { size, max_frame });
    }
    let Some((type_and_length, _)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    let [kind, high, middle, low] = *type_and_length;
    let read_header = match kind {
        0 => json_header::decode,
        1 => compact_header::decode,
        other => return Err(FrameError::UnknownHeaderType(other)),
    };
    let header = u32::from_be_bytes([0, high, middle, low]) as usize;
    if header > available {
        return Err(FrameError::HeaderTooLong { header, available });
    }
    if buffer.len() < size {
        return Ok(None);
    }
    let mut frame = buffer.split_to(size);
    frame.advance(PREFIX_BYTES);
    let mut command = read_header(&frame.split_to(header))?;
    command.body = if frame.len() < COPIED_BYTES { Bytes::copy_from_slice(&frame) } else { frame.freeze() };
    Ok(Some(command))
}

/// Writes a frame of at most `max_frame` bytes, its four length bytes included.
///
/// # Errors
/// [`EncodeError`] if the frame would be larger, or if the header type has no place for something.
pub fn encode(command: &Command, header_type: HeaderType, max_frame: usize) -> Result<Vec<u8>, EncodeError> {
    let mut header = Vec::new();
    match header_type {
        HeaderType::Json => json_header::encode(&mut header, command)?,
        HeaderType::Compact => compact_header::encode(&mut header, command)?,
    }
    let size = PREFIX_BYTES.saturating_add(header.len()).saturating_add(command.body.len());
    if size > max_frame {
        return Err(EncodeError::TooLarge { size, max_frame });
    }
    if header.len() > MAX_HEADER {
        return Err(EncodeError::DoesNotFit("header"));
    }
    let length = i32::try_from(size - LENGTH_BYTES).map_err(|_| EncodeError::DoesNotFit("frame length"))?;
    let [_, high, middle, low] = (header.len() as u32).to_be_bytes();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[header_type as u8, high, middle, low]);
    out.extend_from_slice(&header);
    out.extend_from_slice(&command.body);
    Ok(out)
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
