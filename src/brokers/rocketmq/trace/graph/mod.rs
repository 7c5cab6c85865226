//! The history of one RocketMQ message as one JSON object: its stored copies and what clients reported about it.
//!
//! [`assemble`] is pure: it takes the trace events and the stored copies of one message and sorts them into sends,
//! transaction answers, recalls and, per consumer group, deliveries. It never invents what neither shows: a delivery
//! appears only if a consumer reported it. It looks nothing up and has no limits.
//!
//! Clocks of clients differ, so events of the same millisecond are ordered by when their trace message was stored.

mod consumers;
pub mod rows;
pub mod shape;

use std::borrow::Cow;
use std::collections::HashSet;

use super::kind::Kind;
use rows::{CopyRow, TraceRow};
use shape::{Recall, Send, TraceGraph, Transaction};

/// Assembles the graph of one message. Reports of the same event count once, the one stored first.
#[must_use]
pub fn assemble<'a>(events: &'a [TraceRow], copies: &'a [CopyRow]) -> TraceGraph<'a> {
    let rows = distinct(events);
    let of = |kind| rows.iter().copied().filter(move |row: &&TraceRow| row.kind == kind);
    let mut stored: Vec<&CopyRow> = copies.iter().collect();
    stored.sort_by_key(|copy| (copy.store_time, copy.broker.as_str(), copy.offset_message_id.as_str()));
    TraceGraph {
        sends: of(Kind::Pub).map(send).collect(),
        transactions: of(Kind::EndTransaction).map(transaction).collect(),
        recalls: of(Kind::Recall).map(recall).collect(),
        consumers: consumers::consumers(consumers::pair(of(Kind::SubBefore), of(Kind::SubAfter)), &stored),
        copies: stored.into_iter().map(|copy| &copy.message).collect(),
    }
}

/// The rows in order, each event once.
fn distinct(events: &[TraceRow]) -> Vec<&TraceRow> {
    let mut rows: Vec<&TraceRow> = events.iter().collect();
    rows.sort_by_key(|row| row.order());
    let mut seen = HashSet::with_capacity(rows.len());
    rows.retain(|row| seen.insert(row.identity()));
    rows
}

fn send(row: &TraceRow) -> Send<'_> {
    Send {
        time: row.time_stamp,
        group: row.group_name.as_deref(),
        client_host: row.client_host.as_deref(),
        store_host: row.store_host.as_deref(),
        cost_ms: row.cost_ms(),
        success: row.success,
        message_type: row.msg_type.map(message_type),
        offset_message_id: row.offset_msg_id.as_deref(),
    }
}

fn message_type(code: i32) -> Cow<'static, str> {
    match code {
        0 => "normal".into(),
        1 => "transaction_half".into(),
        2 => "transaction_commit".into(),
        3 => "delay".into(),
        4 => "order".into(),
        other => other.to_string().into(),
    }
}

fn transaction(row: &TraceRow) -> Transaction<'_> {
    Transaction {
        time: row.time_stamp,
        group: row.group_name.as_deref(),
        client_host: row.client_host.as_deref(),
        state: row.transaction_state.as_deref(),
        transaction_id: row.transaction_id.as_deref(),
        from_check: row.from_transaction_check,
    }
}

fn recall(row: &TraceRow) -> Recall<'_> {
    Recall {
        time: row.time_stamp,
        group: row.group_name.as_deref(),
        client_host: row.client_host.as_deref(),
        success: row.success,
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
