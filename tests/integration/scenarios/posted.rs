//! A trace as a producer's client writes it, for scenarios that post some.

use mqlake::brokers::rocketmq::import::PostedTraces;

use crate::support::week_end;

/// A trace record of the message with this id, which is its key as well.
pub fn trace_text(id: &str) -> String {
    [
        "Pub",
        "1700000000000",
        "region",
        "group",
        "order",
        id,
        "tag",
        id,
        "10.0.0.1:10911",
        "5",
        "3",
        "0",
        "offset",
        "true",
        "10.0.0.2",
    ]
    .join("\u{1}")
        + "\u{2}"
}

/// The same as a request brings it.
pub fn posted(id: &str) -> PostedTraces {
    PostedTraces { bodies: vec![(trace_text(id).into(), None)], time_ms: week_end().timestamp_millis() }
}
