//! The shape of a trace graph as JSON.
//!
//! Times are milliseconds since the Unix epoch; those of events are by the clients' clocks. What nobody reported is
//! `null`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

/// Name of the group of deliveries whose reports name none.
pub const UNKNOWN_GROUP: &str = "%UNKNOWN_GROUP%";

/// All that is known about one message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceGraph<'a> {
    /// Stored copies, oldest first, as given in [`CopyRow::message`](super::rows::CopyRow::message).
    pub copies: Vec<&'a Value>,
    /// Sends that the broker answered, oldest first; more than one if the producer sent it again.
    pub sends: Vec<Send<'a>>,
    /// Answers of the producer about the transaction, oldest first.
    pub transactions: Vec<Transaction<'a>>,
    /// Recalls, oldest first.
    pub recalls: Vec<Recall<'a>>,
    /// Consumer groups by name.
    pub consumers: Vec<Consumer<'a>>,
}

/// A send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Send<'a> {
    /// Just before the send.
    pub time: Option<i64>,
    /// Producer group.
    pub group: Option<&'a str>,
    /// Address of the producer.
    pub client_host: Option<&'a str>,
    /// Address of the broker.
    pub store_host: Option<&'a str>,
    /// How long the send took; for a batch, the whole batch.
    pub cost_ms: Option<i64>,
    /// Whether it was answered with `SEND_OK`.
    pub success: Option<bool>,
    /// `normal`, `transaction_half`, `transaction_commit`, `delay`, `order`, or an unknown number as text.
    pub message_type: Option<Cow<'static, str>>,
    /// Offset id of the record stored first.
    pub offset_message_id: Option<&'a str>,
}

/// An answer of a producer about its transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transaction<'a> {
    /// When the producer answered.
    pub time: Option<i64>,
    /// Producer group.
    pub group: Option<&'a str>,
    /// Address of the producer.
    pub client_host: Option<&'a str>,
    /// `COMMIT_MESSAGE`, `ROLLBACK_MESSAGE` or `UNKNOW`, as clients spell it.
    pub state: Option<&'a str>,
    /// Transaction id.
    pub transaction_id: Option<&'a str>,
    /// Whether the broker had asked.
    pub from_check: Option<bool>,
}

/// The recall of a timer message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recall<'a> {
    /// When the producer recalled it.
    pub time: Option<i64>,
    /// Producer group.
    pub group: Option<&'a str>,
    /// Address of the producer.
    pub client_host: Option<&'a str>,
    /// Whether the broker took it.
    pub success: Option<bool>,
}

/// A consumer group that the message reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consumer<'a> {
    /// Consumer group, or [`UNKNOWN_GROUP`].
    pub group: &'a str,
    /// Reported deliveries, oldest first. Empty if the group is only known by stored copies.
    pub deliveries: Vec<Delivery<'a>>,
    /// Stored retry copies for the group.
    pub retries: u64,
    /// Stored dead letters of the group.
    pub dead_letters: u64,
}

/// One call of a consumer's listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery<'a> {
    /// Id of the call.
    pub request_id: Option<&'a str>,
    /// Address of the consumer.
    pub client_host: Option<&'a str>,
    /// Begin of the call; `null` if only its end was reported, because the cost is an average over a batch.
    pub time: Option<i64>,
    /// End of the call; `null` while only its begin was reported.
    pub end_time: Option<i64>,
    /// Duration of the call divided by its number of messages.
    pub cost_ms: Option<i64>,
    /// `null` while only the begin was reported.
    pub success: Option<bool>,
    /// Result code as reported, or derived from `success` for old clients.
    pub context_code: Option<i32>,
    /// The result in one word.
    pub outcome: Outcome,
    /// The consumer's own count of repeats; it can exceed the stored one.
    pub retry_times: Option<i32>,
}

/// The result of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The listener succeeded.
    Success,
    /// It took longer than the consume timeout; it may have succeeded.
    TimedOut,
    /// It threw an exception.
    Exception,
    /// It returned null.
    ReturnedNull,
    /// It asked for redelivery.
    Failed,
    /// No end was reported.
    Unknown,
}
