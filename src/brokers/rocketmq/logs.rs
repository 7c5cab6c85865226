//! The logs of a broker, which tables each feeds, and what its streams are called.

use crate::lake::schema::{
    CONSUMER_PROGRESS, CONTENT, MESSAGE, MESSAGE_KEY, SYSTEM_ROCKETMQ, TRACE, TableDef,
};
use crate::lake::{Log, LogDef, Positions, StateDef, StreamId};

/// Tables of messages in the order of commits: tables that list a message come after those that describe it.
pub const TABLES: [&TableDef; 5] = [&CONTENT, &TRACE, &CONSUMER_PROGRESS, &MESSAGE, &MESSAGE_KEY];

const QUEUE_OFFSETS: StateDef =
    StateDef { name: "state with queue offsets", folder: "offsets", ending: "json", is_by_log: true };

static COMMIT_LOG_DEF: LogDef = LogDef {
    name: "commitlog",
    holds: "messages",
    tables: &TABLES,
    positions: Positions::Offsets,
    state: Some(QUEUE_OFFSETS),
    beside: Some(&PULLED_DEF),
};

static PULLED_DEF: LogDef = LogDef {
    name: "pulled",
    holds: "messages",
    tables: &TABLES,
    positions: Positions::Received,
    state: Some(QUEUE_OFFSETS),
    beside: Some(&COMMIT_LOG_DEF),
};

/// The commit log, read from its files: physical offsets.
pub const COMMIT_LOG: Log = Log(&COMMIT_LOG_DEF);

/// What was pulled from the broker: bytes received, counted from the first pull on.
pub const PULLED: Log = Log(&PULLED_DEF);

/// Index files, for keys whose records are gone: physical offsets.
pub const KEY_INDEX: Log = Log(&LogDef {
    name: "keyindex",
    holds: "keys",
    tables: &[&MESSAGE_KEY],
    positions: Positions::Offsets,
    state: None,
    beside: None,
});

/// Samples of progress from store directories: their time.
pub const SAMPLES: Log = Log(&LogDef {
    name: "samples",
    holds: "samples",
    tables: &[&CONSUMER_PROGRESS],
    positions: Positions::Offsets,
    state: Some(QUEUE_OFFSETS),
    beside: None,
});

/// A stream of a broker.
#[must_use]
pub fn stream(broker: &str, log: Log) -> StreamId {
    StreamId::new(SYSTEM_ROCKETMQ, broker, log)
}
