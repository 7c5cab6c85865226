//! Tests of trace graphs: the worked examples, missing and repeated reports, order, and properties.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::rows::CopyKind;
use super::shape::{Outcome, UNKNOWN_GROUP};
use super::*;
use crate::brokers::rocketmq::trace::decode::{Limits, decode};
use crate::brokers::rocketmq::trace::event::TraceEvent;
use crate::brokers::rocketmq::trace::event::tests::{
    AFTER, BEFORE, END_TRANSACTION, PUB, RECALL, after, any_event, before, end_transaction, publication,
    recall, wire,
};

const MESSAGE: &str = "C0A80D01524018B4AAC251C706720007";
const REQUEST: &str = "C0A80D03611C18B4AAC251C70F0A0001";

/// Rows of events that one trace message carried.
fn rows(events: &[TraceEvent<'_>], stored: i64) -> Vec<TraceRow> {
    let messages = events.iter().flat_map(TraceEvent::per_message);
    messages.map(|row| TraceRow::new(&row, Some("10.0.0.9"), Some("carrier"), stored)).collect()
}

fn copy(kind: CopyKind, group: Option<&str>, store_time: i64, message: Value) -> CopyRow {
    CopyRow {
        kind,
        group: group.map(str::to_owned),
        store_time,
        broker: "broker-a".to_owned(),
        offset_message_id: String::new(),
        message,
    }
}

fn graph(events: &[TraceEvent<'_>]) -> Value {
    serde_json::to_value(assemble(&rows(events, 0), &[])).unwrap()
}

/// The only delivery of the only consumer.
fn delivery(events: &[TraceEvent<'_>]) -> Value {
    let graph = graph(events);
    assert_eq!(graph["consumers"].as_array().unwrap().len(), 1);
    assert_eq!(graph["consumers"][0]["deliveries"].as_array().unwrap().len(), 1);
    graph["consumers"][0]["deliveries"][0].clone()
}

#[test]
fn worked_examples_as_a_graph() {
    let body = wire(&[AFTER, BEFORE, RECALL, END_TRANSACTION, PUB].concat());
    let events: Vec<_> = decode(&body, Limits::default()).map(Result::unwrap).collect();
    let copies = [
        copy(CopyKind::Retry, Some("order_consumer"), 30, json!({"topic": "%RETRY%order_consumer"})),
        copy(CopyKind::Other, None, 20, json!({"topic": "OrderTopic"})),
        copy(CopyKind::DeadLetter, Some("audit"), 40, json!({"topic": "%DLQ%audit"})),
    ];
    let expected = json!({
        "copies": [{"topic": "OrderTopic"}, {"topic": "%RETRY%order_consumer"}, {"topic": "%DLQ%audit"}],
        "sends": [{
            "time": 1_647_435_997_808_i64, "group": "order_producer", "client_host": "10.0.0.9",
            "store_host": "192.168.13.2:10911", "cost_ms": 9, "success": true, "message_type": "normal",
            "offset_message_id": "C0A80D0200002A9F0000000040000182",
        }],
        "transactions": [{
            "time": 1_647_435_998_100_i64, "group": "order_producer", "client_host": "10.0.0.9",
            "state": "COMMIT_MESSAGE", "transaction_id": MESSAGE, "from_check": false,
        }],
        "recalls": [{
            "time": 1_647_435_999_000_i64, "group": "order_producer", "client_host": "10.0.0.9", "success": true,
        }],
        "consumers": [
            {"group": "audit", "deliveries": [], "retries": 0, "dead_letters": 1},
            {"group": "order_consumer", "retries": 1, "dead_letters": 0, "deliveries": [{
                "request_id": REQUEST, "client_host": "10.0.0.9", "time": 1_647_436_000_010_i64,
                "end_time": 1_647_436_000_045_i64, "cost_ms": 35, "success": true, "context_code": 0,
                "outcome": "success", "retry_times": 0,
            }]},
        ],
    });
    assert_eq!(serde_json::to_value(assemble(&rows(&events, 0), &copies)).unwrap(), expected);
}

#[test]
fn nothing_known_is_an_empty_graph() {
    let empty = json!({"copies": [], "sends": [], "transactions": [], "recalls": [], "consumers": []});
    assert_eq!(graph(&[]), empty);
}

#[test]
fn a_delivery_without_its_end_is_unknown() {
    let expected = json!({
        "request_id": REQUEST, "client_host": "10.0.0.9", "time": 1_647_436_000_010_i64, "end_time": null,
        "cost_ms": null, "success": null, "context_code": null, "outcome": "unknown", "retry_times": 0,
    });
    assert_eq!(delivery(&[before()]), expected);
}

#[test]
fn a_delivery_without_its_begin_has_no_time() {
    let expected = json!({
        "request_id": REQUEST, "client_host": "10.0.0.9", "time": null, "end_time": 1_647_436_000_045_i64,
        "cost_ms": 35, "success": true, "context_code": 0, "outcome": "success", "retry_times": null,
    });
    assert_eq!(delivery(&[after()]), expected);
    let old = TraceEvent { time_stamp: None, group_name: None, ..after() };
    assert_eq!(delivery(std::slice::from_ref(&old))["end_time"], Value::Null);
    assert_eq!(graph(&[old])["consumers"][0]["group"], UNKNOWN_GROUP);
}

#[test]
fn an_old_end_takes_group_and_time_from_the_begin() {
    let old = TraceEvent { time_stamp: None, group_name: None, ..after() };
    let graph = graph(&[before(), old.clone()]);
    assert_eq!(graph["consumers"].as_array().unwrap().len(), 1);
    assert_eq!(graph["consumers"][0]["group"], "order_consumer");
    assert_eq!(delivery(&[before(), old.clone()])["end_time"], 1_647_436_000_045_i64);
    let zero = TraceEvent { time_stamp: Some(0), ..old.clone() };
    assert_eq!(delivery(&[before(), zero])["end_time"], 1_647_436_000_045_i64);
    for cost_time in [Some(-5), None] {
        let stepped = delivery(&[before(), TraceEvent { cost_time, ..old.clone() }]);
        assert_eq!(
            (&stepped["end_time"], &stepped["cost_ms"]),
            (&json!(1_647_436_000_010_i64), &Value::Null)
        );
    }
    let far = TraceEvent { cost_time: Some(i64::MAX), ..old };
    assert_eq!(delivery(&[before(), far])["end_time"], Value::Null);
}

#[test]
fn outcomes() {
    let outcome = |context_code, success| {
        delivery(&[TraceEvent { context_code, success, ..after() }])["outcome"].as_str().map(str::to_owned)
    };
    for (code, success, word) in [
        (Some(0), Some(true), "success"),
        (Some(0), Some(false), "failed"),
        (Some(1), Some(true), "timed_out"),
        (Some(1), Some(false), "timed_out"),
        (Some(2), Some(false), "exception"),
        (Some(3), Some(false), "returned_null"),
        (Some(4), Some(false), "failed"),
        (Some(77), Some(true), "success"),
        (Some(-1), Some(false), "failed"),
        (Some(77), None, "unknown"),
        (None, None, "unknown"),
    ] {
        assert_eq!(outcome(code, success).as_deref(), Some(word), "{code:?} {success:?}");
    }
    assert_eq!(serde_json::to_value(Outcome::TimedOut).unwrap(), "timed_out");
}

#[test]
fn message_types() {
    for (code, name) in [
        (Some(0), json!("normal")),
        (Some(1), json!("transaction_half")),
        (Some(2), json!("transaction_commit")),
        (Some(3), json!("delay")),
        (Some(4), json!("order")),
        (Some(-9), json!("-9")),
        (None, Value::Null),
    ] {
        let event = TraceEvent { msg_type: code, cost_time: Some(-1), ..publication() };
        let send = graph(&[event])["sends"][0].clone();
        assert_eq!((&send["message_type"], &send["cost_ms"]), (&name, &Value::Null));
    }
}

#[test]
fn a_repeated_report_counts_once_and_the_first_stored_wins() {
    let events = [publication(), before(), after(), end_transaction(), recall()];
    let mut twice = rows(&events, 200);
    twice.iter_mut().for_each(|row| row.client_host = Some("late".to_owned()));
    let first = rows(&events, 100);
    twice.extend(first.clone());
    assert_eq!(assemble(&twice, &[]), assemble(&first, &[]));
    // Another send of the same message is another send.
    let again = TraceEvent { offset_msg_ids: Some("other".into()), ..publication() };
    assert_eq!(graph(&[publication(), again])["sends"].as_array().unwrap().len(), 2);
}

#[test]
fn calls_are_distinguished_by_request_and_message() {
    let other = |event: TraceEvent<'static>| TraceEvent { msg_ids: Some("batch".into()), ..event };
    let cost = |cost| TraceEvent { cost_time: Some(cost), ..after() };
    let graph = graph(&[before(), other(before()), other(cost(2)), cost(1)]);
    let costs: Vec<_> = graph["consumers"][0]["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["cost_ms"].clone())
        .collect();
    assert_eq!(costs, [json!(1), json!(2)]);
    let nameless = |event: TraceEvent<'static>| TraceEvent { request_id: None, ..event };
    let rows = rows(&[nameless(before()), nameless(after())], 0);
    let graph = assemble(&rows, &[]);
    let outcomes: Vec<_> = graph.consumers[0].deliveries.iter().map(|delivery| delivery.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Success]);
}

#[test]
fn ordered_by_time_then_by_the_trace_message() {
    let state = |state: &'static str, time: i64| TraceEvent {
        transaction_state: Some(state.into()),
        time_stamp: Some(time),
        ..end_transaction()
    };
    let mut events = rows(&[state("c", 20), state("a", 10)], 300);
    events.extend(rows(&[state("b", 20)], 299));
    events.extend(rows(&[TraceEvent { time_stamp: None, ..state("d", 0) }], 30));
    let graph = assemble(&events, &[]);
    let states: Vec<_> = graph.transactions.iter().filter_map(|transaction| transaction.state).collect();
    assert_eq!(states, ["a", "b", "c", "d"]);
}

#[test]
fn copies_are_counted_by_group() {
    let copies = [
        copy(CopyKind::Retry, Some("g"), 2, json!(2)),
        copy(CopyKind::DeadLetter, Some("g"), 3, json!(3)),
        copy(CopyKind::Retry, Some("g"), 1, json!(1)),
        copy(CopyKind::Retry, None, 4, json!(4)),
        copy(CopyKind::Other, Some("g"), 5, json!(5)),
    ];
    let expected = json!({
        "copies": [1, 2, 3, 4, 5], "sends": [], "transactions": [], "recalls": [],
        "consumers": [
            {"group": UNKNOWN_GROUP, "deliveries": [], "retries": 1, "dead_letters": 0},
            {"group": "g", "deliveries": [], "retries": 2, "dead_letters": 1},
        ],
    });
    assert_eq!(serde_json::to_value(assemble(&[], &copies)).unwrap(), expected);
}

/// Clients report the bare name of a group.
#[test]
fn a_group_with_a_namespace_is_one_group() {
    let copies = |groups: &[&str]| -> Vec<CopyRow> {
        groups.iter().map(|group| copy(CopyKind::Retry, Some(group), 1, json!(1))).collect()
    };
    let events = rows(&[before(), after()], 0);
    let consumers = |groups: &[&str]| -> Vec<(String, usize, u64)> {
        let copies = copies(groups);
        let graph = assemble(&events, &copies);
        graph.consumers.iter().map(|c| (c.group.to_owned(), c.deliveries.len(), c.retries)).collect()
    };
    let of = |group: &str, deliveries, retries| (group.to_owned(), deliveries, retries);
    assert_eq!(consumers(&["ns%order_consumer"; 2]), [of("ns%order_consumer", 1, 2)]);
    assert_eq!(consumers(&["order_consumer"]), [of("order_consumer", 1, 1)]);
    assert_eq!(consumers(&["ns%other"]), [of("ns%other", 0, 1), of("order_consumer", 1, 0)]);
    // which of the two it was is unknown
    assert_eq!(
        consumers(&["a%order_consumer", "b%order_consumer"]),
        [of("a%order_consumer", 0, 1), of("b%order_consumer", 0, 1), of("order_consumer", 1, 0)]
    );
}

proptest! {
    #[test]
    fn every_event_is_shown_once_whatever_the_order(
        events in proptest::collection::vec((any_event(), 0_i64..3), 0..25),
        pairs in proptest::collection::vec((0_u8..4, 0_u8..2, 0_i64..50), 0..25),
    ) {
        let mut input: Vec<TraceRow> =
            events.iter().flat_map(|(event, stored)| rows(std::slice::from_ref(event), *stored)).collect();
        for (request, end, time) in pairs {
            let event = if end == 1 { after() } else { before() };
            let request_id = Some(format!("r{request}").into());
            input.extend(rows(&[TraceEvent { request_id, time_stamp: Some(time), ..event }], time));
        }
        let graph = assemble(&input, &[]);
        let distinct: HashSet<_> = input.iter().map(TraceRow::identity).collect();
        let of = |kind: Kind| distinct.iter().filter(|identity| identity.kind == kind).count();
        prop_assert_eq!(graph.sends.len(), of(Kind::Pub));
        prop_assert_eq!(graph.transactions.len(), of(Kind::EndTransaction));
        prop_assert_eq!(graph.recalls.len(), of(Kind::Recall));
        let deliveries: Vec<_> = graph.consumers.iter().flat_map(|consumer| &consumer.deliveries).collect();
        let (begins, ends) = (of(Kind::SubBefore), of(Kind::SubAfter));
        prop_assert!((begins.max(ends)..=begins + ends).contains(&deliveries.len()));
        prop_assert!(deliveries.iter().filter(|d| d.success.is_some()).count() == ends);

        let counts = |graph: &TraceGraph<'_>| -> Vec<_> {
            graph.consumers.iter().map(|c| (c.group.to_owned(), c.deliveries.len())).collect()
        };
        let reversed: Vec<_> = input.iter().rev().cloned().collect();
        prop_assert_eq!(counts(&assemble(&reversed, &[])), counts(&graph));
    }
}
