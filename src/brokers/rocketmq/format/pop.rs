//! Bodies of the records in which a broker keeps track of pop consumption (RocketMQ formats: pop bookkeeping).
//!
//! A check point says which messages were delivered to a group, an acknowledgement which of them are done. Both lie in
//! `rmq_sys_REVIVE_LOG_<cluster>`, most of them first in the timer topic. [`decode`] reads one body; it never pairs
//! acknowledgements with check points.

use thiserror::Error;

use super::json;
use super::json::{JsonError, Value};

/// Tag of a check point.
pub const TAG_CHECK_POINT: &str = "ck";
/// Tag of an acknowledgement of one message.
pub const TAG_ACK: &str = "ack";
/// Tag of an acknowledgement of several messages.
pub const TAG_BATCH_ACK: &str = "bAck";

/// Most messages of a check point without a list of its own: the writer keeps their number in one byte.
const MAX_COUNTED: i64 = i8::MAX as i64;

/// Why a body is not pop bookkeeping.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PopError {
    /// The tag is none of the three.
    #[error("`{0}` is no tag of pop bookkeeping")]
    UnknownTag(String),
    /// The body is not JSON.
    #[error("pop bookkeeping: {0}")]
    Json(#[from] JsonError),
    /// A field is missing, of another type, or out of range.
    #[error("pop bookkeeping without a usable `{0}`")]
    Field(&'static str),
}

/// Which delivery is meant. A check point and its acknowledgements have all these fields in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// Topic the messages were popped from; the retry topic for redelivered ones.
    pub topic: String,
    /// Queue of the topic.
    pub queue_id: i32,
    /// Consumer group.
    pub group: String,
    /// Name of the broker, where the writer gives it.
    pub broker: Option<String>,
    /// When they were popped, or their invisible time was changed, in milliseconds since the Unix epoch.
    pub pop_time_ms: i64,
    /// Queue offset of the first of them.
    pub start_offset: i64,
}

/// Messages delivered to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckPoint {
    /// What was delivered to whom.
    pub delivery: Delivery,
    /// How long the messages stay invisible to others, in milliseconds.
    pub invisible_ms: i64,
    /// Queue offsets of the messages.
    pub queue_offsets: Vec<i64>,
    /// Bit `i` is set if the message at `queue_offsets[i]` was already acknowledged when this was written.
    pub acknowledged_bits: i32,
    /// Offset in the revive log that this check point had when it was written again; 0 the first time.
    pub revive_offset: i64,
}

impl CheckPoint {
    /// When messages without acknowledgement are delivered again, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn revive_time_ms(&self) -> i64 {
        self.delivery.pop_time_ms.saturating_add(self.invisible_ms)
    }
}

/// Messages of a delivery that are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// What was delivered to whom.
    pub delivery: Delivery,
    /// Queue offsets of the messages: one, or several acknowledged at once.
    pub queue_offsets: Vec<i64>,
}

/// A record of pop bookkeeping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PopRecord {
    /// Tag `ck`.
    CheckPoint(CheckPoint),
    /// Tags `ack` and `bAck`.
    Ack(Ack),
}

/// Decodes the body of the record with this tag.
///
/// # Errors
/// [`PopError`] if the tag or the body is none of pop bookkeeping.
pub fn decode(tag: &str, body: &[u8]) -> Result<PopRecord, PopError> {
    if ![TAG_CHECK_POINT, TAG_ACK, TAG_BATCH_ACK].contains(&tag) {
        return Err(PopError::UnknownTag(tag.to_owned()));
    }
    let body = json::parse(body)?;
    let delivery = delivery(&body)?;
    match tag {
        TAG_CHECK_POINT => check_point(&body, delivery).map(PopRecord::CheckPoint),
        TAG_ACK => Ok(PopRecord::Ack(Ack { delivery, queue_offsets: vec![number(&body, "ao")?] })),
        _ => {
            let acknowledged = numbers(&body, "aol")?;
            if acknowledged.is_empty() {
                return Err(PopError::Field("aol"));
            }
            Ok(PopRecord::Ack(Ack { delivery, queue_offsets: acknowledged }))
        }
    }
}

fn delivery(body: &Value) -> Result<Delivery, PopError> {
    Ok(Delivery {
        topic: text(body, "t")?,
        queue_id: i32::try_from(number(body, "q")?).map_err(|_| PopError::Field("q"))?,
        group: text(body, "c")?,
        broker: text(body, "bn").ok(),
        pop_time_ms: number(body, "pt")?,
        start_offset: number(body, "so")?,
    })
}

fn check_point(body: &Value, delivery: Delivery) -> Result<CheckPoint, PopError> {
    let mut distances = numbers(body, "d")?;
    if distances.is_empty() {
        // Older brokers only give a count of consecutive messages.
        let count = number(body, "n").ok().filter(|count| (0..=MAX_COUNTED).contains(count));
        distances = (0..count.ok_or(PopError::Field("n"))?).collect();
    }
    let start = delivery.start_offset;
    let queue_offsets =
        distances.into_iter().map(|distance| start.checked_add(distance)).collect::<Option<_>>();
    Ok(CheckPoint {
        delivery,
        invisible_ms: number(body, "it")?,
        queue_offsets: queue_offsets.ok_or(PopError::Field("d"))?,
        acknowledged_bits: number(body, "bm").ok().and_then(|bits| i32::try_from(bits).ok()).unwrap_or(0),
        revive_offset: number(body, "ro").unwrap_or(0),
    })
}

fn text(body: &Value, name: &'static str) -> Result<String, PopError> {
    body.get(name).and_then(Value::as_str).map(str::to_owned).ok_or(PopError::Field(name))
}

fn number(body: &Value, name: &'static str) -> Result<i64, PopError> {
    body.get(name).and_then(Value::as_i64).ok_or(PopError::Field(name))
}

/// The numbers of a list; none if there is no list.
fn numbers(body: &Value, name: &'static str) -> Result<Vec<i64>, PopError> {
    let items = body.get(name).map(Value::items).unwrap_or_default();
    items.iter().map(|item| item.as_i64().ok_or(PopError::Field(name))).collect()
}

#[cfg(test)]
#[path = "pop_tests.rs"]
mod tests;
