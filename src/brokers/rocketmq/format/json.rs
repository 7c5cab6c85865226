//! The JSON that RocketMQ brokers write with fastjson, and how much of it is taken (RocketMQ remoting: JSON bodies;
//! RocketMQ formats: JSON files).
//!
//! That JSON is not strict: keys can be bare numbers or whole objects, texts can stand in single quotes. [`parse`]
//! makes a [`Value`] tree that keeps such keys. A `$ref` is never followed; what it stands for is not needed anywhere.

use std::borrow::Cow;

use thiserror::Error;

pub use crate::codec::json::Value;
use crate::codec::json::{Dialect, Malformed, Reason, read};

/// Longest input taken, in bytes. The offsets of a large broker are some megabytes.
pub const MAX_BYTES: usize = 64 << 20;
/// Most values taken, keys included. It bounds the memory of a tree made from many tiny values.
pub const MAX_VALUES: usize = 8 << 20;
/// Deepest nesting of objects and lists, object keys included.
pub const MAX_DEPTH: usize = 64;

/// What fastjson 1.2, which the brokers use, writes by default: Java maps with numbers or objects as keys, and
/// references to an object that occurs twice. Beyond that it reads `NaN`, which is null here, and the escapes `\v` and `\0`.
const FASTJSON: Dialect = Dialect {
    prefixes: &[],
    blanks: b" \t\n\x0c\r",
    comments: false,
    separators: b",",
    colons: &[":"],
    gaps_are_null: false,
    escapes: &[('v', '\u{b}'), ('0', '\0')],
    ends_word: |c| matches!(c, 0..=b' ' | 0x7f | b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"' | b'\''),
    word,
    name: |word| word.parse().map_or_else(|_| Value::Text(word.to_owned()), Value::Integer),
    object_names: true,
    reference: Some("$ref"),
    max_depth: MAX_DEPTH,
    max_values: MAX_VALUES,
};

/// Why bytes are not JSON. Offsets count bytes of the text after invalid UTF-8 was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Longer than [`MAX_BYTES`].
    #[error("JSON of {0} bytes is too long")]
    TooLong(usize),
    /// More than [`MAX_VALUES`] values.
    #[error("JSON has too many values")]
    TooManyValues,
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("JSON is nested too deeply at byte {offset}")]
    TooDeep {
        /// Where the level that is too deep begins.
        offset: usize,
    },
    /// Something else stands where a certain thing has to be.
    #[error("no {expected} at byte {offset} of the JSON")]
    Missing {
        /// What has to be there.
        expected: &'static str,
        /// Where; the length of the text if it ends too early.
        offset: usize,
    },
}

/// Reads one JSON value with nothing but white space around it. Invalid UTF-8 is replaced.
///
/// # Errors
/// [`JsonError`] if it is none, or beyond one of the limits.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    if bytes.len() > MAX_BYTES {
        return Err(JsonError::TooLong(bytes.len()));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    read(text, &FASTJSON).map_err(|malformed| refusal(malformed, text.len()))
}

/// The object written in this text, as some servers do with object keys; anything else as it is.
#[must_use]
pub fn reparsed(value: &Value) -> Cow<'_, Value> {
    if let Value::Text(text) = value
        && text.trim_start().starts_with('{')
        && let Ok(value) = parse(text.as_bytes())
    {
        return Cow::Owned(value);
    }
    Cow::Borrowed(value)
}

/// A number as JSON writes it, or a keyword. Rust's own readers also take words such as `inf`, hence the look at the
/// bytes.
fn word(word: &str) -> Option<Value> {
    match word {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" | "NaN" | "Infinity" | "-Infinity" => Some(Value::Null),
        _ if !word.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) => None,
        _ => word.parse().map(Value::Integer).or_else(|_| word.parse().map(Value::Float)).ok(),
    }
}

/// The error of this format: an escape is placed at its backslash, a quote that is missing at the end of the text.
fn refusal(Malformed { offset, reason }: Malformed, end: usize) -> JsonError {
    let (expected, offset) = match reason {
        Reason::TooManyValues => return JsonError::TooManyValues,
        Reason::TooDeep => return JsonError::TooDeep { offset },
        Reason::ValueCutOff | Reason::NoValue => ("value", offset),
        Reason::NameCutOff | Reason::NoName => ("key", offset),
        Reason::NoColon => ("colon", offset),
        Reason::ObjectCutOff | Reason::NoMemberEnd => ("comma or closing brace", offset),
        Reason::ListCutOff | Reason::NoElementEnd => ("comma or closing bracket", offset),
        Reason::QuoteCutOff => ("closing quote", end),
        Reason::UnknownEscape => ("known escape", offset.saturating_sub("\\".len())),
        Reason::NoHexDigits => ("known escape", offset.saturating_sub("\\u".len())),
        Reason::TextAfter | Reason::CommentCutOff => ("end of the text", offset),
    };
    JsonError::Missing { expected, offset }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
