//! Header types, and why a header cannot be read or written.

use thiserror::Error;

use crate::brokers::rocketmq::format::json::JsonError;

/// How a header is written. Servers read both types and answer in the one that they are configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum HeaderType {
    /// JSON; can carry every code.
    #[default]
    Json = 0,
    /// Binary, called `ROCKETMQ` by servers; request codes up to 32767 only.
    Compact = 1,
}

/// Why a header is not readable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// No JSON.
    #[error("{0}")]
    Json(JsonError),
    /// JSON, but no object.
    #[error("the JSON is not an object")]
    NotAnObject,
    /// A member is of another type or out of range.
    #[error("bad member {0:?}")]
    BadMember(&'static str),
    /// A compact header ends inside this part.
    #[error("it ends inside its {0}")]
    Short(&'static str),
    /// A length in a compact header is negative.
    #[error("negative length {length} of its {what}")]
    NegativeLength {
        /// The part.
        what: &'static str,
        /// The length.
        length: i32,
    },
}

/// Why a command cannot be written as a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A number or text is larger than its place in the header.
    #[error("{0} does not fit into the header")]
    DoesNotFit(&'static str),
    /// The frame would be larger than allowed.
    #[error("frame of {size} bytes, more than the {max_frame} allowed")]
    TooLarge {
        /// Size of the whole frame in bytes.
        size: usize,
        /// The limit.
        max_frame: usize,
    },
}
