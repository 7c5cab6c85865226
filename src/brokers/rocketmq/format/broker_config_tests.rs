//! Tests of the configuration files: excerpts as brokers write them, oddities, and noise.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

#[test]
fn worked_example_of_consumer_offsets() {
    let file = "{
	\"dataVersion\":{\"counter\":12,\"stateVersion\":0,\"timestamp\":1647436001000},
	\"offsetTable\":{
		\"OrderTopic@order_consumer\":{0:41,1:40,2:42,3:39
		},
		\"%RETRY%order_consumer@order_consumer\":{0:3
		}
	}
}";
    let progress = |topic: &str, next_offsets: &[(i32, i64)]| Progress {
        topic: topic.to_owned(),
        group: "order_consumer".to_owned(),
        next_offsets: next_offsets.iter().copied().collect(),
    };
    let groups = vec![
        progress("OrderTopic", &[(0, 41), (1, 40), (2, 42), (3, 39)]),
        progress("%RETRY%order_consumer", &[(0, 3)]),
    ];
    assert_eq!(consumer_offsets(file.as_bytes()), Ok(ConsumerOffsets { groups, broadcasts: Vec::new() }));
}

#[test]
fn broadcasts_stand_apart_and_odd_entries_are_left_out() {
    let file = br#"{"offsetTable":{"T@g@broadcast":{0:1},"T@g@h":{"0":2,"x":3,1:null,4294967296:5},"T":{0:1},7:{0:1}}}"#;
    let offsets = consumer_offsets(file).unwrap();
    let [broadcast] = offsets.broadcasts.as_slice() else { panic!("{offsets:?}") };
    assert_eq!((broadcast.topic.as_str(), broadcast.group.as_str()), ("T", "g"));
    let [group] = offsets.groups.as_slice() else { panic!("{offsets:?}") };
    assert_eq!((group.group.as_str(), &group.next_offsets), ("g@h", &BTreeMap::from([(0, 2)])));
}

#[test]
fn topics_with_and_without_attributes() {
    let file = br#"{"topicConfigTable":{
        "a":{"attributes":{"+message.type":"FIFO","queue.type":"BatchCQ"},"order":true,"perm":6,"readQueueNums":3,
             "topicFilterType":"SINGLE_TAG","topicName":"a","topicSysFlag":1,"writeQueueNums":2},
        7:{"perm":"4"}, "none":null}}"#;
    let found = topics(file).unwrap();
    assert_eq!(found.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["a", "7"]);
    assert_eq!((found[0].message_type(), found[0].queue_type()), (Some("FIFO"), Some("BatchCQ")));
    assert_eq!((found[0].read_queues, found[0].write_queues, found[0].system_flags), (3, 2, 1));
    assert!(found[0].is_ordered && found[0].filter_type.as_deref() == Some("SINGLE_TAG"));
    assert_eq!((found[1].permissions, found[1].message_type(), found[1].is_ordered), (4, None, false));
}

#[test]
fn groups_with_and_without_defaults() {
    let file = br#"{"subscriptionGroupTable":{
        "g":{"consumeBroadcastEnable":false,"consumeEnable":false,"consumeMessageOrderly":true,
             "consumeTimeoutMinute":5,"groupName":"g","retryMaxTimes":3,"retryQueueNums":2},
        "bare":{}},"forbiddenTable":{}}"#;
    let given = SubscriptionGroup {
        name: "g".to_owned(),
        is_enabled: false,
        may_broadcast: false,
        is_orderly: true,
        retry_queues: 2,
        max_retries: 3,
        consume_timeout_minutes: 5,
    };
    let defaults = SubscriptionGroup {
        name: "bare".to_owned(),
        is_enabled: true,
        may_broadcast: true,
        is_orderly: false,
        retry_queues: 1,
        max_retries: 16,
        consume_timeout_minutes: 15,
    };
    assert_eq!(subscription_groups(file), Ok(vec![given, defaults]));
}

#[test]
fn delay_levels() {
    let file = b"{\n\t\"offsetTable\":{1:544,2:176,3:156,4:44\n\t}\n}";
    assert_eq!(delay_offsets(file), Ok(BTreeMap::from([(1, 544), (2, 176), (3, 156), (4, 44)])));
}

#[test]
fn empty_tables_are_fine_but_empty_files_are_not() {
    assert_eq!(consumer_offsets(b"{}"), Ok(ConsumerOffsets::default()));
    assert_eq!((topics(b"{}"), subscription_groups(b"{}")), (Ok(Vec::new()), Ok(Vec::new())));
    assert_eq!(delay_offsets(b"{\"offsetTable\":[]}"), Ok(BTreeMap::new()));
    for file in [&b""[..], b"  \n", b"\0\0\0\0", b"{\"offsetTable\":{0:"] {
        assert!(matches!(delay_offsets(file), Err(ConfigError::Json(_))));
    }
    assert_eq!(topics(b"[]"), Err(ConfigError::NoObject));
}

proptest! {
    #[test]
    fn offsets_round_trip(topic in "[%|a-zA-Z0-9_-]{1,20}", group in "[%|a-zA-Z0-9_-]{1,20}",
        next in proptest::collection::btree_map(0..10_000_i32, 0..i64::MAX, 0..20)) {
        let queues: Vec<String> = next.iter().map(|(queue, offset)| format!("{queue}:{offset}")).collect();
        let file = format!("{{\"offsetTable\":{{\"{topic}@{group}\":{{{}\n}}}}}}", queues.join(","));
        let expected = Progress { topic, group, next_offsets: next };
        prop_assert_eq!(consumer_offsets(file.as_bytes()).unwrap().groups, [expected]);
    }

    #[test]
    fn noise_never_panics(inner in r#"[{}\[\]:,"@a-c0-9+]{0,40}"#) {
        for name in ["offsetTable", "topicConfigTable", "subscriptionGroupTable"] {
            let file = format!("{{\"{name}\":{inner}}}");
            let _ = consumer_offsets(file.as_bytes());
            let _ = topics(file.as_bytes());
            let _ = subscription_groups(file.as_bytes());
            let _ = delay_offsets(file.as_bytes());
        }
    }
}
