//! One trace event, borrowed from the body that carried it.
//!
//! An event holds what the client wrote, and the few values that the format derives from old, shorter records; those
//! are marked. It never fills in a default: a value that is missing, `null` or an empty text is `None`. It knows
//! nothing about the message that carried it.

use std::borrow::Cow;
use std::iter;

use super::identity::Identity;
use super::kind::Kind;

/// Text of a field, `None` where the record has none. Invalid UTF-8 is replaced.
pub type Text<'a> = Option<Cow<'a, str>>;

/// A trace event ("RocketMQ formats: message trace"). Which fields can be present depends on the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent<'a> {
    /// The type.
    pub kind: Kind,
    /// Index in the body, counted from 0 over all records, including those that cannot be decoded.
    pub event: u32,
    /// Client clock in milliseconds since the Unix epoch: before the send, at the begin (`SubBefore`) or at the end
    /// (`SubAfter`) of consumption, at the answer or recall.
    pub time_stamp: Option<i64>,
    /// Region of the broker. Not in `SubAfter`.
    pub region_id: Text<'a>,
    /// Producer or consumer group, without namespace.
    pub group_name: Text<'a>,
    /// Id of one call of the listener, the same in `SubBefore` and `SubAfter` and for all messages of the call.
    pub request_id: Text<'a>,
    /// Topic without namespace. Not in `SubBefore` and `SubAfter`.
    pub topic: Text<'a>,
    /// Unique id of the message; in `Pub` of a batch the ids of all messages, with commas. See
    /// [`Self::per_message`].
    pub msg_ids: Text<'a>,
    /// Tag. Never present for a batch.
    pub tags: Text<'a>,
    /// Application keys, separated by spaces.
    pub keys: Text<'a>,
    /// Address of the broker as `ip:port`. `Pub` and `EndTransaction`.
    pub store_host: Text<'a>,
    /// Bytes of the body as sent, after compression; of the whole request for a batch. `Pub`.
    pub body_length: Option<i64>,
    /// Milliseconds a send took, or a call of the listener took per message. Negative after a clock step.
    /// `Pub` and `SubAfter`.
    pub cost_time: Option<i64>,
    /// 0 normal, 1 transaction half, 2 transaction commit, 3 delay, 4 order; others unknown. `Pub` and
    /// `EndTransaction`.
    pub msg_type: Option<i32>,
    /// Id of the record that was stored first, by its position in the store; for a batch all ids, with commas, in the
    /// order of `msg_ids`. `Pub`.
    pub offset_msg_ids: Text<'a>,
    /// Whether the send was answered with `SEND_OK`, the listener succeeded, or the recall succeeded.
    pub success: Option<bool>,
    /// `success` is not in the record but follows from its age: the oldest clients report successful sends only.
    pub success_derived: bool,
    /// 0 success, 1 timed out, 2 exception, 3 null returned, 4 failed; others unknown. `SubAfter`.
    pub context_code: Option<i32>,
    /// `context_code` is not in the record but follows from `success`.
    pub context_code_derived: bool,
    /// Address of the client, from a `Pub` or `SubBefore` of the few clients that write it.
    pub client_host: Text<'a>,
    /// How often the consumer had this message before, by its own count. `SubBefore`.
    pub retry_times: Option<i32>,
    /// Transaction id. `EndTransaction`.
    pub transaction_id: Text<'a>,
    /// `COMMIT_MESSAGE`, `ROLLBACK_MESSAGE` or `UNKNOW`. `EndTransaction`.
    pub transaction_state: Text<'a>,
    /// Whether the answer was requested by the broker. `EndTransaction`.
    pub from_transaction_check: Option<bool>,
    /// Fields behind the known ones, as written in the record.
    pub extra: Text<'a>,
}

/// The part of an event that is about one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageEvent<'e, 'a> {
    /// The event. Its cost and body length are those of the whole batch.
    pub event: &'e TraceEvent<'a>,
    /// Index of the message in the batch, from 0.
    pub place: u32,
    /// Unique id of the message.
    pub msg_id: Option<&'e str>,
    /// Id of the record stored first for the message.
    pub offset_msg_id: Option<&'e str>,
}

impl<'a> TraceEvent<'a> {
    /// An event of which only the type and the index are known.
    #[must_use]
    pub const fn new(kind: Kind, event: u32) -> Self {
        Self {
            kind,
            event,
            time_stamp: None,
            region_id: None,
            group_name: None,
            request_id: None,
            topic: None,
            msg_ids: None,
            tags: None,
            keys: None,
            store_host: None,
            body_length: None,
            cost_time: None,
            msg_type: None,
            offset_msg_ids: None,
            success: None,
            success_derived: false,
            context_code: None,
            context_code_derived: false,
            client_host: None,
            retry_times: None,
            transaction_id: None,
            transaction_state: None,
            from_transaction_check: None,
            extra: None,
        }
    }

    /// The event once for each of its messages, at least once.
    ///
    /// Only `Pub` carries lists. An id without an offset id gets none; surplus offset ids without an id are left out.
    pub fn per_message(&self) -> impl Iterator<Item = MessageEvent<'_, 'a>> {
        let ids = split(self.kind, self.msg_ids.as_deref());
        let offset_ids = split(self.kind, self.offset_msg_ids.as_deref()).chain(iter::repeat(None));
        ids.zip(offset_ids)
            .zip(0..)
            .map(|((msg_id, offset_msg_id), place)| MessageEvent {
                event: self,
                place,
                msg_id,
                offset_msg_id,
            })
            .filter(|row| row.place == 0 || row.msg_id.is_some() || row.offset_msg_id.is_some())
    }

    /// The key that two reports of the same event have in common, for the whole event.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        self.identity_with(self.msg_ids.as_deref(), self.offset_msg_ids.as_deref())
    }

    fn identity_with<'i>(&'i self, msg_id: Option<&'i str>, offset_msg_id: Option<&'i str>) -> Identity<'i> {
        Identity {
            kind: self.kind,
            msg_id,
            request_id: self.request_id.as_deref(),
            time_stamp: self.time_stamp,
            group_name: self.group_name.as_deref(),
            offset_msg_id,
            transaction_state: self.transaction_state.as_deref(),
            from_transaction_check: self.from_transaction_check,
        }
        .of_kind()
    }
}

impl<'e> MessageEvent<'e, '_> {
    /// The key that two reports of the same event about the same message have in common.
    #[must_use]
    pub fn identity(&self) -> Identity<'e> {
        self.event.identity_with(self.msg_id, self.offset_msg_id)
    }
}

fn split(kind: Kind, list: Option<&str>) -> impl Iterator<Item = Option<&str>> {
    list.unwrap_or_default()
        .split(move |c| kind == Kind::Pub && c == ',')
        .map(|id| Some(id).filter(|id| !id.is_empty()))
}

#[cfg(test)]
#[path = "event_tests.rs"]
pub(crate) mod tests;
