//! The message itself: what a producer sends, a log record stores and a consumer receives (`MessageHeader`,
//! `RemoteMessage`, `QMQSerializer`).
//!
//! [`Payload::decode`] splits the bytes without copying; [`attributes`] turns the body into text pairs on demand. Both
//! only report what is there: they never check the CRC, never give defaults to missing attributes and never repair a
//! body. Strings of the header stay raw bytes, since producers are not forced to send valid UTF-8.

use std::borrow::Cow;
use std::collections::HashMap;

use thiserror::Error;

use crate::codec::cursor::{Cursor, Short, StrError, put_bytes16};

/// Flag bit: the producer asked for low reliability.
pub const FLAG_LOW_RELIABILITY: u8 = 1;
/// Flag bit: the message went through a delay server; its second time is the scheduled one.
pub const FLAG_DELAY: u8 = 2;
/// Flag bit: tags follow the message id.
pub const FLAG_TAGS: u8 = 4;

/// Up to this many attributes, scanning finds a repeated key faster than a hash map does.
const SCANNED_ATTRIBUTES: usize = 16;

/// Why bytes are not a message or not an attribute map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// A length runs beyond the bytes.
    #[error("the message ends inside its {0}")]
    Truncated(&'static str),
    /// A signed length is negative.
    #[error("negative length {length} of the {field} of a message")]
    NegativeLength {
        /// What the length belongs to.
        field: &'static str,
        /// The length found.
        length: i32,
    },
    /// The number of tags, a signed byte, is negative.
    #[error("negative tag count {0} of a message")]
    NegativeTagCount(i8),
}

impl PayloadError {
    fn string(field: &'static str) -> impl Fn(StrError) -> Self {
        move |error| match error {
            StrError::Short => Self::Truncated(field),
            StrError::NegativeLength(length) => Self::NegativeLength { field, length: i32::from(length) },
        }
    }

    fn short(field: &'static str) -> impl Fn(Short) -> Self {
        move |Short| Self::Truncated(field)
    }
}

/// A message in its parts, borrowed from the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Flag bits, see the `FLAG_` constants.
    pub flags: u8,
    /// Producer's clock when the message was made, in milliseconds since the Unix epoch.
    pub create_time_ms: i64,
    /// Scheduled time of a delay message, otherwise about the time of sending; milliseconds since the Unix epoch.
    pub expire_or_schedule_time_ms: i64,
    /// Subject that the producer named. The subject of the log record can differ, and then that one counts.
    pub subject: &'a [u8],
    /// Id given by the producer; not unique, since retries keep it.
    pub message_id: &'a [u8],
    /// Tags, in the order stored; empty without [`FLAG_TAGS`].
    pub tags: Tags<'a>,
    /// The attribute map, see [`attributes`].
    pub body: &'a [u8],
    /// Bytes from the flags to the end of the body. Fewer than were given if others follow the message.
    pub size: usize,
}

impl<'a> Payload<'a> {
    /// Splits a message. Bytes after its body are left alone.
    ///
    /// # Errors
    /// A length that is negative or runs beyond the bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        let mut cursor = Cursor::new(bytes);
        let flags = cursor.u8().map_err(PayloadError::short("flags"))?;
        let create_time_ms = cursor.i64().map_err(PayloadError::short("create time"))?;
        let expire_or_schedule_time_ms = cursor.i64().map_err(PayloadError::short("expire time"))?;
        let subject = cursor.str16().map_err(PayloadError::string("subject"))?;
        let message_id = cursor.str16().map_err(PayloadError::string("message id"))?;
        let tags = if flags & FLAG_TAGS == 0 { Tags::default() } else { Tags::decode(&mut cursor)? };
        let length = cursor.i32().map_err(PayloadError::short("body length"))?;
        let length =
            usize::try_from(length).map_err(|_| PayloadError::NegativeLength { field: "body", length })?;
        let body = cursor.bytes(length).map_err(PayloadError::short("body"))?;
        let size = bytes.len() - cursor.remaining();
        Ok(Self { flags, create_time_ms, expire_or_schedule_time_ms, subject, message_id, tags, body, size })
    }

    /// Whether the message came through a delay server.
    #[must_use]
    pub const fn is_delay(&self) -> bool {
        self.flags & FLAG_DELAY != 0
    }

    /// Whether the producer asked for low reliability.
    #[must_use]
    pub const fn is_low_reliability(&self) -> bool {
        self.flags & FLAG_LOW_RELIABILITY != 0
    }

    /// Whether the message has a list of tags, which can be empty.
    #[must_use]
    pub const fn has_tags(&self) -> bool {
        self.flags & FLAG_TAGS != 0
    }

    /// Iterates over the tags without using up the field.
    #[must_use]
    pub fn tags(&self) -> Tags<'a> {
        self.tags.clone()
    }
}

/// Iterator over the raw bytes of the tags of a message; cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags<'a> {
    /// `left` strings with their lengths, known to be complete.
    raw: &'a [u8],
    left: u8,
}

impl<'a> Tags<'a> {
    fn decode(cursor: &mut Cursor<'a>) -> Result<Self, PayloadError> {
        let count = cursor.i8().map_err(PayloadError::short("tag count"))?;
        let left = u8::try_from(count).map_err(|_| PayloadError::NegativeTagCount(count))?;
        let start = *cursor;
        for _ in 0..left {
            cursor.str16().map_err(PayloadError::string("tags"))?;
        }
        let length = start.remaining() - cursor.remaining();
        let raw = { start }.bytes(length).map_err(PayloadError::short("tags"))?;
        Ok(Self { raw, left })
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let mut cursor = Cursor::new(self.raw);
        let tag = cursor.str16().ok()?;
        self.raw = cursor.rest();
        Some(tag)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Tags<'_> {}

/// Key and value of an attribute; borrowed where the bytes are valid UTF-8.
pub type Attribute<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Reads the attribute map of a body: pairs in the order stored, invalid UTF-8 replaced.
///
/// A key that repeats keeps its first place and its last value, as in a map. An empty body has no pairs.
///
/// # Errors
/// A negative key length, or a length that runs beyond the body. Then no attributes are returned: after a wrong length
/// (QMQ writes one for values above 65535 bytes) arbitrary bytes are read as text until the error is noticed.
pub fn attributes(body: &[u8]) -> Result<Vec<Attribute<'_>>, PayloadError> {
    let mut cursor = Cursor::new(body);
    let mut pairs: Vec<Attribute<'_>> = Vec::new();
    // Filled only for large maps: without it, a body of many short keys would take quadratic time.
    let mut indexes: HashMap<Cow<'_, str>, usize> = HashMap::new();
    while cursor.remaining() > 0 {
        let key = cursor.str16().map_err(PayloadError::string("attribute key"))?;
        let value = cursor.bytes_u16().map_err(PayloadError::short("attribute value"))?;
        let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
        let index = if pairs.len() <= SCANNED_ATTRIBUTES {
            pairs.iter().position(|(known, _)| *known == key)
        } else {
            if indexes.is_empty() {
                indexes.extend(pairs.iter().enumerate().map(|(index, (known, _))| (known.clone(), index)));
            }
            indexes.get(&key).copied()
        };
        if let Some((_, known)) = index.and_then(|index| pairs.get_mut(index)) {
            *known = value;
            continue;
        }
        if !indexes.is_empty() {
            indexes.insert(key.clone(), pairs.len());
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// Encodes a message with an attribute map. Tags, if any, set [`FLAG_TAGS`]; the flag alone writes an empty list.
///
/// Subject, id, tags and keys may have at most 32767 bytes, values 65535, tags may be at most 127; like QMQ's writer,
/// longer ones get a wrapped length and are unreadable.
#[must_use]
pub fn encode(
    flags: u8,
    create_time_ms: i64,
    expire_or_schedule_time_ms: i64,
    subject: &str,
    message_id: &str,
    tags: &[&str],
    attributes: &[(&str, &str)],
) -> Vec<u8> {
    let body = encode_attributes(attributes);
    encode_with_body(flags, create_time_ms, expire_or_schedule_time_ms, subject, message_id, tags, &body)
}

/// Encodes a message with a body of any bytes; otherwise as [`encode`].
#[must_use]
pub fn encode_with_body(
    flags: u8,
    create_time_ms: i64,
    expire_or_schedule_time_ms: i64,
    subject: &str,
    message_id: &str,
    tags: &[&str],
    body: &[u8],
) -> Vec<u8> {
    let flags = if tags.is_empty() { flags } else { flags | FLAG_TAGS };
    let mut out = vec![flags];
    out.extend_from_slice(&create_time_ms.to_be_bytes());
    out.extend_from_slice(&expire_or_schedule_time_ms.to_be_bytes());
    put_bytes16(&mut out, subject.as_bytes());
    put_bytes16(&mut out, message_id.as_bytes());
    if flags & FLAG_TAGS != 0 {
        out.push(tags.len() as u8);
        for tag in tags {
            put_bytes16(&mut out, tag.as_bytes());
        }
    }
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// Encodes an attribute map in the given order, repeated keys included.
#[must_use]
pub fn encode_attributes(attributes: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in attributes {
        put_bytes16(&mut body, key.as_bytes());
        put_bytes16(&mut body, value.as_bytes());
    }
    body
}

#[cfg(test)]
#[path = "payload_tests.rs"]
pub(crate) mod tests;
