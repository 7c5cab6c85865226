//! The logs of a broker group, which tables each feeds, and what its streams are called.

use crate::lake::schema::{CONTENT, DEAD_MESSAGE, MESSAGE as MESSAGES, RECORD, SYSTEM_QMQ, UNRESOLVED_ACK};
use crate::lake::{Log, LogDef, Positions, StateDef, StreamId, StreamInfo};

/// The message log, or the index stream derived from it: offsets of the message log.
pub const MESSAGE: Log = Log(&LogDef {
    name: "message",
    holds: "messages",
    tables: &[&CONTENT, &RECORD, &DEAD_MESSAGE, &MESSAGES],
    positions: Positions::Offsets,
    state: None,
    beside: None,
});

/// A Java backup's own index log: offsets of that log.
pub const INDEX: Log = Log(&LogDef { name: "index", ..*MESSAGE.0 });

/// The action log.
pub const ACTION: Log = Log(&LogDef {
    name: "action",
    holds: "actions",
    tables: &[&UNRESOLVED_ACK, &RECORD],
    positions: Positions::Offsets,
    state: Some(StateDef { name: "ack state", folder: "acks", ending: "parquet", is_by_log: false }),
    beside: None,
});

/// A stream of a broker group.
#[must_use]
pub fn stream(broker_group: &str, log: Log) -> StreamId {
    StreamId::new(SYSTEM_QMQ, broker_group, log)
}

/// The stream that a broker group's messages are read from.
#[must_use]
pub fn messages_of(info: &StreamInfo) -> StreamId {
    let log = if info.messages_from == INDEX.name() { INDEX } else { MESSAGE };
    stream(&info.broker_group, log)
}
