//! Reads answers: members of a JSON body, fields of a response header.

use thiserror::Error;

use crate::brokers::rocketmq::format::json;
use crate::brokers::rocketmq::format::json::{JsonError, Value};
use crate::brokers::rocketmq::wire::command::Command;

/// Why an answer that reports success cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The body is not JSON.
    #[error("the body is not readable: {0}")]
    Json(#[from] JsonError),
    /// The body is JSON, but no object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A member of the body or a field of the header is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member of the body or a field of the header is of another type or out of range.
    #[error("{0} is not readable")]
    Unreadable(&'static str),
}

/// One queue of a topic on one broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageQueue {
    /// The topic.
    pub topic: String,
    /// Name of the broker.
    pub broker: String,
    /// Number of the queue on that broker, from 0.
    pub queue_id: i32,
}

impl MessageQueue {
    /// Reads the key of a map: an object, or an object written as a text, as other servers do.
    pub(in super::super) fn from_key(key: &Value) -> Result<Self, AnswerError> {
        let key = json::reparsed(key);
        Ok(Self {
            topic: text(&key, "topic")?,
            broker: text(&key, "brokerName")?,
            queue_id: int(&key, "queueId")?,
        })
    }
}

/// The object in the body.
pub(in super::super) fn object(body: &[u8]) -> Result<Value, AnswerError> {
    match json::parse(body)? {
        object @ Value::Map(_) => Ok(object),
        _ => Err(AnswerError::NotAnObject),
    }
}

/// A member that is neither absent nor null.
fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !matches!(value, Value::Null))
}

/// Whether a member is present, and neither null nor an empty object.
pub(super) fn is_present(object: &Value, name: &str) -> bool {
    member(object, name).is_some_and(|value| !value.entries().is_empty() || !matches!(value, Value::Map(_)))
}

/// A member that is an object; without entries if it is absent.
pub(in super::super) fn entries<'a>(
    object: &'a Value,
    name: &'static str,
) -> Result<&'a [(Value, Value)], AnswerError> {
    match member(object, name) {
        None => Ok(&[]),
        Some(Value::Map(entries)) => Ok(entries),
        Some(_) => Err(AnswerError::Unreadable(name)),
    }
}

/// A member that is a list; empty if it is absent.
pub(super) fn items<'a>(object: &'a Value, name: &'static str) -> Result<&'a [Value], AnswerError> {
    match member(object, name) {
        None => Ok(&[]),
        Some(Value::List(items)) => Ok(items),
        Some(_) => Err(AnswerError::Unreadable(name)),
    }
}

/// A member that is a list of texts; empty if it is absent.
pub(super) fn texts(object: &Value, name: &'static str) -> Result<Vec<String>, AnswerError> {
    items(object, name)?.iter().map(|item| plain_text(item).ok_or(AnswerError::Unreadable(name))).collect()
}

/// A member that is a text.
pub(super) fn text(object: &Value, name: &'static str) -> Result<String, AnswerError> {
    let value = member(object, name).ok_or(AnswerError::Missing(name))?;
    plain_text(value).ok_or(AnswerError::Unreadable(name))
}

/// A text; one that was written without quotes can look like a number.
pub(super) fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A boolean member, or `default` if it is absent.
pub(super) fn truth_or(object: &Value, name: &'static str, default: bool) -> Result<bool, AnswerError> {
    member(object, name).map_or(Ok(default), |value| value.as_bool().ok_or(AnswerError::Unreadable(name)))
}

/// A member that is a whole number.
pub(super) fn long(object: &Value, name: &'static str) -> Result<i64, AnswerError> {
    integer(member(object, name).ok_or(AnswerError::Missing(name))?, name)
}

/// A member that is a whole number of 32 bits.
pub(super) fn int(object: &Value, name: &'static str) -> Result<i32, AnswerError> {
    i32::try_from(long(object, name)?).map_err(|_| AnswerError::Unreadable(name))
}

/// A member that is a whole number, if it is there.
pub(super) fn optional_long(object: &Value, name: &'static str) -> Result<Option<i64>, AnswerError> {
    member(object, name).map(|value| integer(value, name)).transpose()
}

/// A whole number that fits; `name` says what it is.
pub(in super::super) fn integer<N: TryFrom<i64>>(
    value: &Value,
    name: &'static str,
) -> Result<N, AnswerError> {
    value.as_i64().and_then(|number| N::try_from(number).ok()).ok_or(AnswerError::Unreadable(name))
}

/// A field of the response header that is a whole number.
pub(in super::super) fn field_i64(response: &Command, name: &'static str) -> Result<i64, AnswerError> {
    let value = response.field(name).ok_or(AnswerError::Missing(name))?;
    value.parse().map_err(|_| AnswerError::Unreadable(name))
}

/// A field of the response header that is a whole number of 32 bits.
pub(in super::super) fn field_i32(response: &Command, name: &'static str) -> Result<i32, AnswerError> {
    i32::try_from(field_i64(response, name)?).map_err(|_| AnswerError::Unreadable(name))
}
