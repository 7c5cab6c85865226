//! Decides when two trace events are the same event.
//!
//! Trace messages can be stored twice, when a client repeats a send, and can be imported twice. The identity consists
//! of the fields that the format names for this ("RocketMQ formats: message trace, decoding rules") and of nothing
//! else: not of the carrier, and not of fields that can differ between copies.

use std::fmt::{self, Display};

use super::kind::Kind;

/// The identity of a trace event. Equal identities mean the same event; `Display` gives it as a stable text key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity<'a> {
    /// Type of the event.
    pub kind: Kind,
    /// Id of the message, or the list of a batch if the identity is that of the whole event.
    pub msg_id: Option<&'a str>,
    /// `SubBefore` and `SubAfter`.
    pub request_id: Option<&'a str>,
    /// Client clock in milliseconds.
    pub time_stamp: Option<i64>,
    /// `SubBefore`, `SubAfter` and `Recall`.
    pub group_name: Option<&'a str>,
    /// `Pub`, in the same form as `msg_id`.
    pub offset_msg_id: Option<&'a str>,
    /// `EndTransaction`.
    pub transaction_state: Option<&'a str>,
    /// `EndTransaction`.
    pub from_transaction_check: Option<bool>,
}

impl Identity<'_> {
    /// The same identity without the fields that do not count for its type. Call it on every identity built by hand.
    #[must_use]
    pub const fn of_kind(self) -> Self {
        let none = Self {
            request_id: None,
            group_name: None,
            offset_msg_id: None,
            transaction_state: None,
            from_transaction_check: None,
            ..self
        };
        match self.kind {
            Kind::Pub => Self { offset_msg_id: self.offset_msg_id, ..none },
            Kind::SubBefore | Kind::SubAfter => {
                Self { request_id: self.request_id, group_name: self.group_name, ..none }
            }
            Kind::EndTransaction => Self {
                transaction_state: self.transaction_state,
                from_transaction_check: self.from_transaction_check,
                ..none
            },
            Kind::Recall => Self { group_name: self.group_name, ..none },
        }
    }
}

/// The fields in order, each behind U+0001, which no field of a record can contain. Absent ones are empty.
impl Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = char::from(super::FIELD_SEPARATOR);
        write!(f, "{}{separator}{}", self.kind.word(), self.msg_id.unwrap_or_default())?;
        write!(f, "{separator}{}{separator}", self.request_id.unwrap_or_default())?;
        if let Some(time_stamp) = self.time_stamp {
            write!(f, "{time_stamp}")?;
        }
        write!(f, "{separator}{}", self.group_name.unwrap_or_default())?;
        write!(f, "{separator}{}", self.offset_msg_id.unwrap_or_default())?;
        write!(f, "{separator}{}{separator}", self.transaction_state.unwrap_or_default())?;
        if let Some(check) = self.from_transaction_check {
            write!(f, "{check}")?;
        }
        Ok(())
    }
}
