//! From records to rows: a pure function of a log prefix.
//!
//! Messages become rows of `message`, `dead_message` and `content`, and of `record` for the markers of dead letters;
//! actions become rows of `record` and `unresolved_ack`. The same bytes always give the same rows. Nothing here reads a
//! file, a clock or the lake.

mod acks;
mod actions;
mod message_rows;
mod messages;
mod queues;
mod record_rows;
mod unresolved_rows;

pub use acks::{AckLimits, AckState};
pub use actions::{ActionBatch, ActionCounts, ActionReplay};
pub use message_rows::{DeadRows, MessageRow, MessageRows};
pub use messages::{Floors, MessageBatch, MessageCounts, MessageReplay};
pub use record_rows::RecordRows;
pub use unresolved_rows::UnresolvedRows;

/// `record.action`: a consumer pulled the message.
pub const ACTION_PULL: i8 = 0;
/// `record.action`: a consumer is done with the message.
pub const ACTION_ACK: i8 = 1;
/// `record.action`: the message was dead-lettered. The original server writes this marker, too.
pub const ACTION_DEAD: i8 = -2;
/// A dead letter's marker is this much later than the dead letter, so that it sorts last.
pub const DEAD_MARKER_DELAY_MS: i64 = 500;
