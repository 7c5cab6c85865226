//! Tests of the classification: each kind, each way to find an origin, and leftovers that must not mislead.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const GROUPS: [&str; 3] = ["g", "g_long", "ns%g"];

fn classified<'a>(
    topic: &'a str,
    properties: &[(&str, &'a str)],
) -> (Kind, Option<Cow<'a, str>>, Option<Cow<'a, str>>) {
    let property = |name: &str| properties.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let Copy { kind, origin_topic, group } =
        classify(topic, &property, &["my-traces"], &|group| GROUPS.contains(&group));
    (kind, origin_topic, group)
}

/// Checks kind, origin and group; empty texts stand for none.
#[track_caller]
fn check(topic: &str, properties: &[(&str, &str)], kind: Kind, origin_topic: &str, group: &str) {
    let some = |text: &'static str| (!text.is_empty()).then_some(Cow::Borrowed(text));
    let (origin_topic, group): (&'static str, &'static str) =
        (origin_topic.to_owned().leak(), group.to_owned().leak());
    assert_eq!(classified(topic, properties), (kind, some(origin_topic), some(group)), "{topic}");
}

#[test]
fn leftovers_do_not_park_a_normal_record() {
    let leftovers = [
        ("REAL_TOPIC", "other"),
        ("RETRY_TOPIC", "other"),
        ("TRAN_MSG", "true"),
        ("DELAY", "3"),
        ("TIMER_DEL_UNIQKEY", "other+1"),
        ("DLQ_ORIGIN_TOPIC", "other"),
    ];
    check("orders", &leftovers, Kind::Normal, "orders", "");
    check("ns%orders", &[], Kind::Normal, "ns%orders", "");
}

#[test]
fn transactions_of_brokers_that_keep_their_state_in_rocksdb() {
    let half = [("REAL_TOPIC", "orders"), ("TRAN_MSG", "true")];
    check("RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC", &half, Kind::Half, "orders", "");
    check("RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC", &[], Kind::Op, "", "");
    assert!(is_system_topic::<&str>("RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC", &[], &[]));
}

#[test]
fn retries() {
    let retry_of = [("RETRY_TOPIC", "orders"), ("REAL_TOPIC", "%RETRY%g")];
    check("%RETRY%g", &retry_of, Kind::Retry, "orders", "g");
    check("%RETRY%ns%g", &retry_of, Kind::Retry, "orders", "ns%g");
    check("%RETRY%unknown_group", &retry_of, Kind::Retry, "orders", "unknown_group");
    check("%RETRY%g", &[], Kind::Retry, "", "g");
    check("%RETRY%unknown", &[], Kind::Retry, "", "unknown");
}

#[test]
fn retries_of_pop_consumption() {
    check("%RETRY%g_orders", &[], Kind::Retry, "orders", "g");
    check("%RETRY%g_long_orders_2", &[], Kind::Retry, "orders_2", "g_long");
    check("%RETRY%g_long", &[], Kind::Retry, "long", "g");
    check("%RETRY%ns%g_ns%orders", &[], Kind::Retry, "ns%orders", "ns%g");
    check("%RETRY%other_orders", &[], Kind::Retry, "", "");
    check("%RETRY%g_", &[], Kind::Retry, "", "");
    check("%RETRY%other+orders_2", &[("RETRY_TOPIC", "x")], Kind::Retry, "orders_2", "other");
    check("%RETRY%g", &[("RETRY_TOPIC", "%RETRY%g_orders")], Kind::Retry, "orders", "g");
}

#[test]
fn dead_letters() {
    let retry_of = |topic| [("RETRY_TOPIC", topic), ("REAL_TOPIC", "%RETRY%g")];
    check("%DLQ%g", &retry_of("orders"), Kind::Dead, "orders", "g");
    check("%DLQ%g", &retry_of("%RETRY%g_orders"), Kind::Dead, "orders", "g");
    check("%DLQ%other", &retry_of("%RETRY%other_a_b"), Kind::Dead, "a_b", "other");
    check("%DLQ%other", &retry_of("%RETRY%other+a_b"), Kind::Dead, "a_b", "other");
    check("%DLQ%other", &retry_of("%RETRY%g_a_b"), Kind::Dead, "a_b", "other");
    check("%DLQ%other", &retry_of("%RETRY%strange"), Kind::Dead, "", "other");
    check("%DLQ%g", &[("DLQ_ORIGIN_TOPIC", "a"), ("RETRY_TOPIC", "b")], Kind::Dead, "a", "g");
    check("%DLQ%g", &[], Kind::Dead, "", "g");
}

#[test]
fn parked_records() {
    for (topic, kind) in [
        (SCHEDULE_TOPIC, Kind::Delay),
        (TIMER_TOPIC, Kind::Timer),
        (HALF_TOPIC, Kind::Half),
        (CHECK_MAX_TOPIC, Kind::CheckMax),
    ] {
        check(topic, &[("REAL_TOPIC", "orders")], kind, "orders", "");
        check(topic, &[("REAL_TOPIC", "%RETRY%g"), ("RETRY_TOPIC", "orders")], kind, "orders", "g");
        check(topic, &[("REAL_TOPIC", "%RETRY%g_orders")], kind, "orders", "g");
        check(topic, &[("REAL_TOPIC", SCHEDULE_TOPIC)], kind, "", "");
        check(topic, &[], kind, "", "");
    }
}

#[test]
fn the_timer_topic_also_has_orders_and_bookkeeping() {
    let order = [("REAL_TOPIC", "orders"), ("TIMER_DEL_UNIQKEY", "orders+01F6")];
    check(TIMER_TOPIC, &order, Kind::Recall, "orders", "");
    check(SCHEDULE_TOPIC, &order, Kind::Delay, "orders", "");
    check(TIMER_TOPIC, &[("REAL_TOPIC", "rmq_sys_REVIVE_LOG_DefaultCluster")], Kind::Pop, "", "");
    assert_eq!(recalled("a+b+01F6"), (Some("a+b"), "01F6"));
    assert_eq!(recalled("01F6"), (None, "01F6"));
}

#[test]
fn records_of_no_application() {
    for (topic, kind) in [
        (OP_TOPIC, Kind::Op),
        ("rmq_sys_REVIVE_LOG_DefaultCluster", Kind::Pop),
        (TRACE_TOPIC, Kind::Trace),
        ("rmq_sys_TRACE_DATA_cn-hangzhou", Kind::Trace),
        ("my-traces", Kind::Trace),
        ("rmq_sys_SYNC_BROKER_MEMBER_broker-a", Kind::System),
        ("DefaultHeartBeatSyncerTopic", Kind::System),
        ("TBW102", Kind::System),
    ] {
        check(topic, &[("REAL_TOPIC", "orders"), ("RETRY_TOPIC", "orders")], kind, "", "");
    }
}

#[test]
fn system_names() {
    let is_system = |name| is_system_topic(name, &["C1"], &["broker-a"]);
    for name in ["C1", "broker-a", "C1_REPLY_TOPIC", "rmq_sys_wheel_timer", "TBW102", "RMQ_SYS_TRACE_TOPIC"] {
        assert!(is_system(name), "{name}");
    }
    for name in ["C2", "C2_REPLY_TOPIC", "RMQ_SYS_mine", "%RETRY%TBW102", "tbw102", ""] {
        assert!(!is_system(name), "{name}");
    }
    for name in ["TOOLS_CONSUMER", "CID_RMQ_SYS_TRANS", "_INNER_TRACE_PRODUCER-g-1"] {
        assert!(is_system_group(name), "{name}");
    }
    assert!(!is_system_group("DEFAULT_CONSUMER") && !is_system_group("CID_ORDERS"));
}

#[test]
fn kinds_have_names_of_their_own() {
    let kinds = [
        Kind::Normal,
        Kind::Retry,
        Kind::Dead,
        Kind::Delay,
        Kind::Timer,
        Kind::Half,
        Kind::Op,
        Kind::Pop,
        Kind::Trace,
        Kind::Recall,
        Kind::CheckMax,
        Kind::System,
    ];
    let names: std::collections::BTreeSet<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(names.len(), kinds.len());
}

proptest! {
    #[test]
    fn pop_retry_topics_are_split_where_they_were_joined(topic in "[a-z_%-]{1,20}", longer: bool) {
        let group = if longer { "g_long" } else { "ns%g" };
        let name = format!("%RETRY%{group}_{topic}");
        let found = classified(&name, &[]);
        prop_assert_eq!(found, (Kind::Retry, Some(Cow::Borrowed(topic.as_str())), Some(Cow::Borrowed(group))));
    }

    #[test]
    fn any_names_are_classified(topic in "(%RETRY%|%DLQ%|rmq_sys_)?[g_+%]{0,8}", real in "(%RETRY%|%DLQ%)?[g_+%]{0,8}") {
        let properties = [("REAL_TOPIC", real.as_str()), ("RETRY_TOPIC", real.as_str())];
        for topic in [topic.as_str(), TIMER_TOPIC, HALF_TOPIC] {
            let _ = classified(topic, &properties);
            let _ = classified(topic, &[]);
        }
    }
}
