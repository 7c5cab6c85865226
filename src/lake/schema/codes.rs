//! Codes in the tables: the values of `system`, `kind` and `key_kind`. They are part of the tables' contract, so they
//! stand with the schema and never change their meaning.

/// Value of the column `system` for QMQ.
pub const SYSTEM_QMQ: &str = "qmq";

/// Value of the column `system` for RocketMQ.
pub const SYSTEM_ROCKETMQ: &str = "rocketmq";

/// System and reserved broker group name under which upkeep writes files.
pub const UPKEEP: (&str, &str) = (SYSTEM_QMQ, "(upkeep)");

/// Names of the codes in `message.kind`: the code is the index.
const KIND_NAMES: [&str; 12] = [
    "normal",
    "retry",
    "dead",
    "delay",
    "timer",
    "half",
    "op",
    "pop",
    "trace",
    "recall",
    "check_max",
    "system",
];

/// The name of a code in `message.kind`.
#[must_use]
pub fn kind_name(code: i64) -> &'static str {
    usize::try_from(code).ok().and_then(|code| KIND_NAMES.get(code)).copied().unwrap_or("unknown")
}

/// Kind of a key in `message_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(i8)]
pub enum KeyKind {
    /// A key set by the application.
    Key = 0,
    /// The unique id, which clients show.
    MessageId = 1,
    /// The id of a single message in a batch.
    OwnId = 2,
    /// The offset id: address and physical offset.
    OffsetId = 3,
    /// A key in a trace event; the row names no stored message.
    Trace = 4,
    /// Hash of topic and key from an index file whose record no longer exists; the row names no stored message.
    Hash = 5,
}

impl KeyKind {
    /// The code in the table.
    #[must_use]
    pub const fn as_i8(self) -> i8 {
        self as i8
    }
}
