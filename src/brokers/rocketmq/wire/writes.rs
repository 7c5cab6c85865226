//! Requests that change something in a cluster (RocketMQ remoting: reset, update of an offset, send).
//!
//! They are separate so that it is plain that nothing which follows or queries a cluster uses them: a [`WriteRequest`]
//! is no [`Request`]. They are for an operator who asked for the change. None is safe to repeat blindly.

use bytes::Bytes;

use super::codes::{request, response};
use super::command::Command;
use super::requests::{AnswerError, MessageQueue, Request, entries, field_i32, field_i64, integer, object};
use crate::brokers::rocketmq::format::json::Value;

/// A request that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRequest(Request);

impl WriteRequest {
    /// The request to send.
    #[must_use]
    pub(super) fn into_inner(self) -> Request {
        self.0
    }
}

/// Where a consumer group continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTo {
    /// In every queue, at the first message stored at this time or later, in milliseconds. Without `force`, a broker
    /// that asks the consumers to reset themselves moves no queue forward; a broker that resets them itself ignores
    /// `force`.
    Time {
        /// The time; negative ones count as 0.
        timestamp: i64,
        /// Whether queues may move forward.
        force: bool,
    },
    /// At the end of every queue. `force` is as for a time.
    End {
        /// Whether queues may move forward.
        force: bool,
    },
    /// In one queue at an offset. Only brokers with `useServerSideResetOffset` can do it; others move no queue.
    Offset {
        /// Number of the queue on the broker that is asked.
        queue_id: i32,
        /// The next offset to consume. It must not be negative; a broker refuses one outside the queue.
        offset: i64,
    },
}

/// Resets a group in a topic on one broker; send it to every master of the topic. It is refused with code 206 if the
/// consumers have to do the reset and none is online.
#[must_use]
pub fn reset_offset(topic: &str, group: &str, to: ResetTo) -> WriteRequest {
    // The time is always required: without it the broker resets to the beginning. For a single offset it says "the end,
    // but not forward", which changes nothing where the offset is ignored.
    let (timestamp, force, queue_id, offset) = match to {
        ResetTo::Time { timestamp, force } => (timestamp.max(0), force, -1, -1),
        ResetTo::End { force } => (-1, force, -1, -1),
        ResetTo::Offset { queue_id, offset } => (-1, false, queue_id, offset),
    };
    let request = Request::new(request::INVOKE_BROKER_TO_RESET_OFFSET)
        .with("topic", topic)
        .with("group", group)
        .with("timestamp", timestamp)
        .with("isForce", force)
        .with("offset", offset)
        .with("queueId", queue_id);
    WriteRequest(request)
}

/// Reads the body of the answer to [`reset_offset`]: queues with the offset at which their group continues. Consumers
/// that have to reset themselves may still not do so.
///
/// # Errors
/// [`AnswerError`] if the body is of another shape.
pub fn parse_reset_table(body: &[u8]) -> Result<Vec<(MessageQueue, i64)>, AnswerError> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let body = object(body)?;
    let row =
        |(key, offset): &(Value, Value)| Ok((MessageQueue::from_key(key)?, integer(offset, "offsetTable")?));
    entries(&body, "offsetTable")?.iter().map(row).collect()
}

/// Commits an offset for a group in one queue of a master. Brokers check neither queue nor offset. Only for groups
/// without a consumer online, which would overwrite it.
#[must_use]
pub fn update_offset(topic: &str, group: &str, queue_id: i32, offset: i64) -> WriteRequest {
    let request = Request::new(request::UPDATE_CONSUMER_OFFSET)
        .with("consumerGroup", group)
        .with("topic", topic)
        .with("queueId", queue_id)
        .with("commitOffset", offset);
    WriteRequest(request)
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMessage<'a> {
    /// Group the producer names.
    pub producer_group: &'a str,
    /// The topic. Look it up in the route first: a broker may create it if it is missing.
    pub topic: &'a str,
    /// Number of the queue, or `None` to let the broker choose.
    pub queue_id: Option<i32>,
    /// Flags of the record, such as that of a compressed body.
    pub sys_flag: i32,
    /// The flag of the application.
    pub flag: i32,
    /// When the message was made, in milliseconds.
    pub born_timestamp: i64,
    /// Properties as records have them: name, byte 1, value, byte 2.
    pub properties: &'a str,
    /// The body.
    pub body: Bytes,
}

/// Sends a message to a master.
#[must_use]
pub fn send_message(message: SendMessage<'_>) -> WriteRequest {
    let request = Request::new(request::SEND_MESSAGE_V2)
        .with("a", message.producer_group)
        .with("b", message.topic)
        .with("c", "TBW102")
        .with("d", 4)
        .with("e", message.queue_id.unwrap_or(-1))
        .with("f", message.sys_flag)
        .with("g", message.born_timestamp)
        .with("h", message.flag)
        .with("i", message.properties)
        .with("j", 0)
        .with("k", false)
        .with("m", false);
    WriteRequest(request.with_body(message.body))
}

/// Where a sent message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its offset message id.
    pub message_id: String,
    /// Number of the queue.
    pub queue_id: i32,
    /// Its offset in the queue.
    pub queue_offset: i64,
    /// The response code if the message is stored but may not be on disk, or not on a slave.
    pub warning: Option<i32>,
}

impl Sent {
    /// Reads the answer to [`send_message`]; `None` if the broker refused it.
    ///
    /// # Errors
    /// [`AnswerError`] if the header does not say where the message is.
    pub fn parse(response: &Command) -> Result<Option<Self>, AnswerError> {
        let warning = match response.code {
            response::SUCCESS => None,
            code @ (response::FLUSH_DISK_TIMEOUT
            | response::SLAVE_NOT_AVAILABLE
            | response::FLUSH_SLAVE_TIMEOUT) => Some(code),
            _ => return Ok(None),
        };
        Ok(Some(Self {
            message_id: response.field("msgId").ok_or(AnswerError::Missing("msgId"))?.to_owned(),
            queue_id: field_i32(response, "queueId")?,
            queue_offset: field_i64(response, "queueOffset")?,
            warning,
        }))
    }
}

#[cfg(test)]
#[path = "writes_tests.rs"]
mod tests;
