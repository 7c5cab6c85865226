//! The input of a trace graph: trace events and stored copies of one message, owned, as read from tables.
//!
//! It has only the fields that the graph needs. Nothing here reads a table.

use serde_json::Value;

use crate::brokers::rocketmq::trace::event::MessageEvent;
use crate::brokers::rocketmq::trace::identity::Identity;
use crate::brokers::rocketmq::trace::kind::Kind;

/// The part of a trace event that is about one message; fields as in
/// [`TraceEvent`](crate::brokers::rocketmq::trace::event::TraceEvent).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRow {
    /// Type of the event.
    pub kind: Kind,
    /// Index in its trace message.
    pub event: u32,
    /// Client clock, milliseconds since the Unix epoch.
    pub time_stamp: Option<i64>,
    /// Producer or consumer group.
    pub group_name: Option<String>,
    /// Id of the call of a listener.
    pub request_id: Option<String>,
    /// Unique id of the message, one of a batch.
    pub msg_id: Option<String>,
    /// Address of the broker.
    pub store_host: Option<String>,
    /// Milliseconds; negative after a clock step.
    pub cost_time: Option<i64>,
    /// Type of the message sent.
    pub msg_type: Option<i32>,
    /// Offset id of the record stored first, one of a batch.
    pub offset_msg_id: Option<String>,
    /// Whether the send, the listener or the recall succeeded.
    pub success: Option<bool>,
    /// Result code of the listener, reported or derived.
    pub context_code: Option<i32>,
    /// Repeats by the count of the consumer.
    pub retry_times: Option<i32>,
    /// Transaction id.
    pub transaction_id: Option<String>,
    /// Answer about the transaction.
    pub transaction_state: Option<String>,
    /// Whether the broker asked for the answer.
    pub from_transaction_check: Option<bool>,
    /// Address of the client: the one in the event, or else the one that the trace message came from.
    pub client_host: Option<String>,
    /// Offset id of the trace message.
    pub carrier: Option<String>,
    /// When the broker stored the trace message.
    pub carrier_store_time: i64,
}

impl TraceRow {
    /// The row of an event that came in the trace message `carrier` from `client_host`.
    #[must_use]
    pub fn new(
        row: &MessageEvent<'_, '_>,
        client_host: Option<&str>,
        carrier: Option<&str>,
        carrier_store_time: i64,
    ) -> Self {
        let event = row.event;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            kind: event.kind,
            event: event.event,
            time_stamp: event.time_stamp,
            group_name: owned(event.group_name.as_deref()),
            request_id: owned(event.request_id.as_deref()),
            msg_id: owned(row.msg_id),
            store_host: owned(event.store_host.as_deref()),
            cost_time: event.cost_time,
            msg_type: event.msg_type,
            offset_msg_id: owned(row.offset_msg_id),
            success: event.success,
            context_code: event.context_code,
            retry_times: event.retry_times,
            transaction_id: owned(event.transaction_id.as_deref()),
            transaction_state: owned(event.transaction_state.as_deref()),
            from_transaction_check: event.from_transaction_check,
            client_host: owned(event.client_host.as_deref().or(client_host)),
            carrier: owned(carrier),
            carrier_store_time,
        }
    }

    /// The key that two reports of the same event have in common.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        Identity {
            kind: self.kind,
            msg_id: self.msg_id.as_deref(),
            request_id: self.request_id.as_deref(),
            time_stamp: self.time_stamp,
            group_name: self.group_name.as_deref(),
            offset_msg_id: self.offset_msg_id.as_deref(),
            transaction_state: self.transaction_state.as_deref(),
            from_transaction_check: self.from_transaction_check,
        }
        .of_kind()
    }

    /// The reported cost, unless a clock step made it negative.
    pub(super) fn cost_ms(&self) -> Option<i64> {
        self.cost_time.filter(|cost| *cost >= 0)
    }

    /// The order of rows: by time, which is that of the trace message if the event has none, then by position in the
    /// trace topic.
    pub(super) fn order(&self) -> (i64, i64, Option<&str>, u32) {
        let stored = self.carrier_store_time;
        (self.time_stamp.unwrap_or(stored), stored, self.carrier.as_deref(), self.event)
    }
}

/// Kind of a stored copy, as far as consumers are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyKind {
    /// Stored in a retry topic, to be delivered to one group again. A copy parked on its way there is
    /// [`Self::Other`], or the same retry would count twice.
    Retry,
    /// Stored in the dead-letter topic of a group.
    DeadLetter,
    /// Anything else: the message itself, its parked and half copies.
    Other,
}

/// A stored copy of the message.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyRow {
    /// What the copy is.
    pub kind: CopyKind,
    /// Consumer group that a retry or dead-letter copy is for.
    pub group: Option<String>,
    /// When the broker stored it.
    pub store_time: i64,
    /// Broker that stored it.
    pub broker: String,
    /// Offset id, which orders the copies stored in one broker in the same millisecond.
    pub offset_message_id: String,
    /// The copy as it is displayed.
    pub message: Value,
}
