//! Messages: the next ones of a queue, those with a key, one by its offset (RocketMQ remoting: pull, query, view).
//!
//! Bodies of answers are records one after the other, which this module does not read. A pull never commits an offset,
//! and always names the group that every broker has for its tools: any other name would create a group or disturb an
//! existing one.

use std::time::Duration;

use bytes::Bytes;

use super::Request;
use super::answer::{AnswerError, field_i64};
use crate::brokers::rocketmq::wire::codes::{request, response};
use crate::brokers::rocketmq::wire::command::Command;

/// The group that every pull names. Every broker defines it at its start.
pub const PULL_GROUP: &str = "TOOLS_CONSUMER";
/// Longest time a pull may wait. A waiting pull does not count as traffic, and servers close a silent connection after
/// two minutes.
pub const MAX_PULL_WAIT: Duration = Duration::from_secs(60);
/// How often brokers look for pulls that waited long enough: an answer can come so much later than requested.
pub const PULL_TICK: Duration = Duration::from_secs(5);

/// Flag of a pull: wait for a message.
const SUSPEND: i32 = 2;
/// Flag of a pull: the filter is in the request.
const SUBSCRIPTION: i32 = 4;

/// What to pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullRequest<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Number of the queue on the broker that is asked, from 0.
    pub queue_id: i32,
    /// The first offset wanted.
    pub offset: i64,
    /// Most messages wanted; at least one is always requested. Brokers have smaller limits of their own, so fewer
    /// messages do not mean that the end is reached.
    pub max_messages: u16,
    /// Tags wanted, with `||` between several; all messages without. Brokers compare hashes: compare the tags again.
    pub tags: Option<&'a str>,
    /// How long to wait for a message at the end of the queue, at most [`MAX_PULL_WAIT`]; zero to be answered at once.
    pub wait: Duration,
}

/// Asks a broker for the next messages of a queue.
#[must_use]
pub fn pull(pull: &PullRequest<'_>) -> Request {
    let wait = pull.wait.min(MAX_PULL_WAIT);
    let (flags, held) =
        if wait.is_zero() { (SUBSCRIPTION, wait) } else { (SUBSCRIPTION | SUSPEND, wait + PULL_TICK) };
    let request = Request::new(request::PULL_MESSAGE)
        .with("consumerGroup", PULL_GROUP)
        .with("topic", pull.topic)
        .with("queueId", pull.queue_id)
        .with("queueOffset", pull.offset)
        .with("maxMsgNums", pull.max_messages.max(1))
        .with("sysFlag", flags)
        .with("commitOffset", 0)
        .with("suspendTimeoutMillis", wait.as_millis())
        .with("subscription", pull.tags.unwrap_or("*"))
        .with("subVersion", 0)
        .with("expressionType", "TAG");
    Request { held, ..request }
}

/// What became of a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullStatus {
    /// There are messages. The first can be later than requested: messages that retention just removed are skipped
    /// silently.
    Found,
    /// The end of the queue is reached.
    NotFound,
    /// Nothing matched; continue at [`Pull::next`] at once, unless that is the requested offset, which slaves answer.
    RetryImmediately,
    /// The queue has no such offset; [`Pull::next`] is the nearest.
    OffsetMoved,
}

/// The answer to a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// What became of it.
    pub status: PullStatus,
    /// The offset to continue with. With a filter it is not the one behind the last message.
    pub next: i64,
    /// The first offset of the queue that can still be read.
    pub min: i64,
    /// The offset that the next message of the queue will have.
    pub max: i64,
    /// The records, one after the other; empty unless found.
    pub body: Bytes,
}

impl Pull {
    /// Reads the answer to [`pull`]; `None` if the broker refused it.
    ///
    /// # Errors
    /// [`AnswerError`] if the header lacks the offsets.
    pub fn parse(response: &Command) -> Result<Option<Self>, AnswerError> {
        let (status, body) = match response.code {
            response::SUCCESS => (PullStatus::Found, response.body.clone()),
            response::PULL_NOT_FOUND => (PullStatus::NotFound, Bytes::new()),
            response::PULL_RETRY_IMMEDIATELY => (PullStatus::RetryImmediately, Bytes::new()),
            response::PULL_OFFSET_MOVED => (PullStatus::OffsetMoved, Bytes::new()),
            _ => return Ok(None),
        };
        Ok(Some(Self {
            status,
            next: field_i64(response, "nextBeginOffset")?,
            min: field_i64(response, "minOffset")?,
            max: field_i64(response, "maxOffset")?,
            body,
        }))
    }
}

/// What to query by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryMessages<'a> {
    /// The topic.
    pub topic: &'a str,
    /// A key, or a unique message id. Case counts.
    pub key: &'a str,
    /// Most messages wanted. Brokers give at most 64, the newest, and do not say that there are more.
    pub max_messages: u16,
    /// Earliest store time in milliseconds. The index has whole seconds, rounded down: begin one second early.
    pub begin: i64,
    /// Latest store time in milliseconds.
    pub end: i64,
    /// Whether the key is a unique message id. Brokers then give at most 32.
    pub is_unique: bool,
}

/// Asks a broker for the messages of a topic with a key. Answered with code 22 if there is none. The index holds hashes
/// of keys: compare topic and key of each message again.
#[must_use]
pub fn query_messages(query: &QueryMessages<'_>) -> Request {
    let request = Request::new(request::QUERY_MESSAGE)
        .with("topic", query.topic)
        .with("key", query.key)
        .with("maxNum", query.max_messages)
        .with("beginTimestamp", query.begin)
        .with("endTimestamp", query.end);
    // Left out when it is false: brokers up to 4.9.3 do not include it in a signature.
    if query.is_unique { request.with("_UNIQUE_KEY_QUERY", true) } else { request }
}

/// Asks a broker for the message at an offset of its commit log. `topic` is only used to check permissions.
///
/// The broker does not check whether a message begins at the offset: verify magic, size, offset and store host of the
/// answer.
#[must_use]
pub fn view_message(offset: i64, topic: Option<&str>) -> Request {
    let request = Request::new(request::VIEW_MESSAGE_BY_ID).with("offset", offset);
    match topic {
        Some(topic) => request.with("topic", topic),
        None => request,
    }
}
