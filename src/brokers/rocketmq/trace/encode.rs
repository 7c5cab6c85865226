//! Encoding of trace events, for tests, fixtures and simulators.
//!
//! It writes what current clients write ("RocketMQ formats: message trace"). The service does not use it: it reports no
//! events of its own.

use std::io::Write as _;

use super::event::{Text, TraceEvent};
use super::kind::Kind;
use super::{FIELD_SEPARATOR, RECORD_SEPARATOR};

/// Appends a record. Decoding it returns the same event, apart from its index in the body.
///
/// Absent and derived values become `null`; a `Pub` whose success is derived ends before it, like that of the oldest
/// clients. Fields that the type does not have are left out. A text must not contain a separator.
pub fn encode(out: &mut Vec<u8>, event: &TraceEvent<'_>) {
    out.extend_from_slice(event.kind.word().as_bytes());
    match event.kind {
        Kind::Pub => publication(out, event),
        Kind::SubBefore => before_listener(out, event),
        Kind::SubAfter => after_listener(out, event),
        Kind::EndTransaction => end_transaction(out, event),
        Kind::Recall => recall(out, event),
    }
    if let Some(extra) = event.extra.as_deref().filter(|_| !event.success_derived) {
        put(out, extra.as_bytes());
    }
    out.push(RECORD_SEPARATOR);
}

fn publication(out: &mut Vec<u8>, event: &TraceEvent<'_>) {
    put_origin(out, event);
    text(out, &event.topic);
    text(out, &event.msg_ids);
    text(out, &event.tags);
    text(out, &event.keys);
    text(out, &event.store_host);
    number(out, event.body_length);
    number(out, event.cost_time);
    number(out, event.msg_type.map(i64::from));
    if event.success_derived {
        return;
    }
    text(out, &event.offset_msg_ids);
    flag(out, event.success);
    if event.client_host.is_some() || event.extra.is_some() {
        text(out, &event.client_host);
    }
}

fn before_listener(out: &mut Vec<u8>, event: &TraceEvent<'_>) {
    put_origin(out, event);
    text(out, &event.request_id);
    text(out, &event.msg_ids);
    number(out, event.retry_times.map(i64::from));
    text(out, &event.keys);
    if event.client_host.is_some() || event.extra.is_some() {
        text(out, &event.client_host);
    }
}

fn after_listener(out: &mut Vec<u8>, event: &TraceEvent<'_>) {
    text(out, &event.request_id);
    text(out, &event.msg_ids);
    number(out, event.cost_time);
    flag(out, event.success);
    text(out, &event.keys);
    number(out, event.context_code.filter(|_| !event.context_code_derived).map(i64::from));
    number(out, event.time_stamp);
    text(out, &event.group_name);
}

fn end_transaction(out: &mut Vec<u8>, event: &TraceEvent<'_>) {
    put_origin(out, event);
    text(out, &event.topic);
    text(out, &event.msg_ids);
    text(out, &event.tags);
    text(out, &event.keys);
    text(out, &event.store_host);
    number(out, event.msg_type.map(i64::from));
    text(out, &event.transaction_id);
    text(out, &event.transaction_state);
    flag(out, event.from_transaction_check);
}

fn recall(out: &mut Vec<u8>, event: &TraceEvent<'_>) {
    put_origin(out, event);
    text(out, &event.topic);
    text(out, &event.msg_ids);
    flag(out, event.success);
}

/// Time, region and group, which most types start with.
fn put_origin(out: &mut Vec<u8>, event: &TraceEvent<'_>) {
    number(out, event.time_stamp);
    text(out, &event.region_id);
    text(out, &event.group_name);
}

fn text(out: &mut Vec<u8>, value: &Text<'_>) {
    put(out, value.as_deref().unwrap_or("null").as_bytes());
}

fn number(out: &mut Vec<u8>, value: Option<i64>) {
    match value {
        Some(value) => {
            out.push(FIELD_SEPARATOR);
            // Writing to a vector cannot fail.
            let _ = write!(out, "{value}");
        }
        None => put(out, b"null"),
    }
}

fn flag(out: &mut Vec<u8>, value: Option<bool>) {
    put(out, if value == Some(true) { b"true" } else { b"false" });
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    out.push(FIELD_SEPARATOR);
    out.extend_from_slice(field);
}
