//! Offsets of queues and of consumer groups (RocketMQ remoting: offsets of a queue, consumer offset, stats).
//!
//! Offsets count the messages of a queue from 0. Brokers also answer offset requests for unknown topics and queues, as
//! if these were empty: look both up in the route first. Ask masters, not slaves.

use super::Request;
use super::answer::{
    AnswerError, MessageQueue, entries, field_i64, integer, long, object, optional_long, plain_text,
};
use crate::brokers::rocketmq::format::json::Value;
use crate::brokers::rocketmq::wire::codes::request;
use crate::brokers::rocketmq::wire::command::Command;

/// Which message a search by time finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// The first one stored at the time or later; behind the last message if all are earlier.
    Lower,
    /// The last one stored at the time or earlier; the first message if all are later.
    Upper,
}

fn of_queue(code: i32, topic: &str, queue_id: i32) -> Request {
    Request::new(code).with("topic", topic).with("queueId", queue_id)
}

/// Asks for the offset that the next message of a queue will have.
#[must_use]
pub fn max_offset(topic: &str, queue_id: i32) -> Request {
    of_queue(request::GET_MAX_OFFSET, topic, queue_id)
}

/// Asks for the first offset of a queue that can still be read.
#[must_use]
pub fn min_offset(topic: &str, queue_id: i32) -> Request {
    of_queue(request::GET_MIN_OFFSET, topic, queue_id)
}

/// Asks when the first readable message of a queue was stored.
#[must_use]
pub fn earliest_store_time(topic: &str, queue_id: i32) -> Request {
    of_queue(request::GET_EARLIEST_MSG_STORETIME, topic, queue_id)
}

/// Asks for an offset by store time, in milliseconds. Brokers before 5.0 ignore the boundary and answer with the
/// message nearest in time.
#[must_use]
pub fn search_offset(topic: &str, queue_id: i32, timestamp: i64, boundary: Boundary) -> Request {
    let boundary = match boundary {
        Boundary::Lower => "LOWER",
        Boundary::Upper => "UPPER",
    };
    of_queue(request::SEARCH_OFFSET_BY_TIMESTAMP, topic, queue_id)
        .with("timestamp", timestamp)
        .with("boundaryType", boundary)
}

/// Reads the answer to [`max_offset`], [`min_offset`] and [`search_offset`].
///
/// # Errors
/// [`AnswerError`] if the header has no offset.
pub fn parse_offset(response: &Command) -> Result<i64, AnswerError> {
    field_i64(response, "offset")
}

/// Reads the answer to [`earliest_store_time`]; `None` if the queue is empty, unknown, or just losing its first
/// messages.
///
/// # Errors
/// [`AnswerError`] if the header has no time.
pub fn parse_store_time(response: &Command) -> Result<Option<i64>, AnswerError> {
    Ok(Some(field_i64(response, "timestamp")?).filter(|timestamp| *timestamp >= 0))
}

/// Asks for all offsets that groups have committed on a broker.
#[must_use]
pub fn all_offsets() -> Request {
    Request::new(request::GET_ALL_CONSUMER_OFFSET)
}

/// The offset of a group in one queue of the broker that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOffset {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Number of the queue, from 0.
    pub queue_id: i32,
    /// The next offset to consume.
    pub offset: i64,
}

/// Everything that groups have committed on a broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllOffsets {
    /// Offsets of groups whose consumers share the queues.
    pub offsets: Vec<StoredOffset>,
    /// Offsets of groups whose consumers each get every message; they say nothing about progress.
    pub broadcast: Vec<StoredOffset>,
}

impl AllOffsets {
    /// Reads the body of the answer to [`all_offsets`].
    ///
    /// # Errors
    /// [`AnswerError`] if the body is of another shape.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let body = object(body)?;
        let mut all = Self::default();
        for (key, queues) in entries(&body, "offsetTable")? {
            // `topic@group`, for broadcast offsets `topic@group@something`.
            let key = plain_text(key).ok_or(AnswerError::Unreadable("offsetTable"))?;
            let (topic, rest) = key.split_once('@').ok_or(AnswerError::Unreadable("offsetTable"))?;
            let (group, into) = match rest.split_once('@') {
                None => (rest, &mut all.offsets),
                Some((group, _)) => (group, &mut all.broadcast),
            };
            for (queue_id, offset) in queues.entries() {
                into.push(StoredOffset {
                    topic: topic.to_owned(),
                    group: group.to_owned(),
                    queue_id: integer(queue_id, "offsetTable")?,
                    offset: integer(offset, "offsetTable")?,
                });
            }
        }
        Ok(all)
    }
}

/// Asks a broker how far a group is, in one topic or in all it has offsets for. An unknown group or topic has no rows.
#[must_use]
pub fn consume_stats(group: &str, topic: Option<&str>) -> Request {
    let request = Request::new(request::GET_CONSUME_STATS).with("consumerGroup", group);
    match topic {
        Some(topic) => request.with("topic", topic),
        None => request,
    }
}

/// The offsets of a group in one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumeProgress {
    /// The queue.
    pub queue: MessageQueue,
    /// The offset that the next message of the queue will have.
    pub broker_offset: i64,
    /// The next offset to consume, as committed; also 0 if nothing was ever committed.
    pub consumer_offset: i64,
    /// The next offset to pull; only 5.x brokers report it.
    pub pull_offset: Option<i64>,
    /// When the last consumed message was stored; `None` if this is unknown or the message was removed.
    pub last_timestamp: Option<i64>,
}

/// How far a group is on one broker.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumeStats {
    /// Messages consumed per second, as the broker counts them.
    pub tps: f64,
    /// Its queues.
    pub queues: Vec<ConsumeProgress>,
}

impl ConsumeStats {
    /// Reads the body of the answer to [`consume_stats`].
    ///
    /// # Errors
    /// [`AnswerError`] if the body is of another shape.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let body = object(body)?;
        let queue = |(key, row): &(Value, Value)| {
            Ok(ConsumeProgress {
                queue: MessageQueue::from_key(key)?,
                broker_offset: long(row, "brokerOffset")?,
                consumer_offset: long(row, "consumerOffset")?,
                pull_offset: optional_long(row, "pullOffset")?,
                last_timestamp: optional_long(row, "lastTimestamp")?.filter(|timestamp| *timestamp > 0),
            })
        };
        let queues = entries(&body, "offsetTable")?.iter().map(queue).collect::<Result<_, AnswerError>>()?;
        Ok(Self { tps: rate(&body, "consumeTps"), queues })
    }
}

/// A rate is for display only: one that is not readable becomes 0.
fn rate(body: &Value, name: &str) -> f64 {
    match body.get(name) {
        Some(Value::Float(rate)) => *rate,
        Some(Value::Integer(rate)) => *rate as f64,
        _ => 0.0,
    }
}

/// Asks a broker for first and last offset of all queues of a topic. Refused with code 17 if it has no such topic.
#[must_use]
pub fn topic_stats(topic: &str) -> Request {
    Request::new(request::GET_TOPIC_STATS_INFO).with("topic", topic)
}

/// The extent of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicStatsRow {
    /// The queue.
    pub queue: MessageQueue,
    /// The first offset that can still be read.
    pub min_offset: i64,
    /// The offset that the next message will have.
    pub max_offset: i64,
    /// When the last message was stored; `None` if there never was one, or if it was removed.
    pub last_update: Option<i64>,
}

/// The extent of all queues of a topic on one broker.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicStats {
    /// Messages stored per second, as the broker counts them.
    pub tps: f64,
    /// Its queues.
    pub queues: Vec<TopicStatsRow>,
}

impl TopicStats {
    /// Reads the body of the answer to [`topic_stats`].
    ///
    /// # Errors
    /// [`AnswerError`] if the body is of another shape.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let body = object(body)?;
        let queue = |(key, row): &(Value, Value)| {
            Ok(TopicStatsRow {
                queue: MessageQueue::from_key(key)?,
                min_offset: long(row, "minOffset")?,
                max_offset: long(row, "maxOffset")?,
                last_update: optional_long(row, "lastUpdateTimestamp")?.filter(|timestamp| *timestamp > 0),
            })
        };
        let queues = entries(&body, "offsetTable")?.iter().map(queue).collect::<Result<_, AnswerError>>()?;
        Ok(Self { tps: rate(&body, "topicPutTps"), queues })
    }
}
