//! Tests of requests, field by field, and of answers as servers write them.
#![allow(clippy::indexing_slicing)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::brokers::rocketmq::format::json::JsonError;

fn fields(request: Request) -> Vec<(String, String)> {
    request.into_command().fields
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn pull_request() -> PullRequest<'static> {
    PullRequest { topic: "T", queue_id: 3, offset: 17, max_messages: 32, tags: None, wait: Duration::ZERO }
}

fn header(code: i32, fields: &[(&str, &str)]) -> Command {
    Command { fields: pairs(fields), ..Command::request(code) }
}

#[test]
fn a_pull_names_the_group_of_the_tools_and_never_commits() {
    let expected = [
        ("consumerGroup", "TOOLS_CONSUMER"),
        ("topic", "T"),
        ("queueId", "3"),
        ("queueOffset", "17"),
        ("maxMsgNums", "32"),
        ("sysFlag", "4"),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "0"),
        ("subscription", "*"),
        ("subVersion", "0"),
        ("expressionType", "TAG"),
    ];
    let request = pull(&pull_request());
    assert_eq!(
        (request.code(), request.name().as_ref(), request.held()),
        (11, "PULL_MESSAGE", Duration::ZERO)
    );
    assert_eq!(fields(request), pairs(&expected));
}

#[test]
fn a_pull_that_waits_has_its_wait_and_the_brokers_tick_on_top() {
    let wait = Duration::from_secs(15);
    let request = pull(&PullRequest { tags: Some("A || B"), max_messages: 0, wait, ..pull_request() });
    assert_eq!(request.held(), Duration::from_secs(20));
    let command = request.into_command();
    assert_eq!(command.field("sysFlag"), Some("6"));
    assert_eq!(command.field("suspendTimeoutMillis"), Some("15000"));
    assert_eq!(command.field("subscription"), Some("A || B"));
    assert_eq!(command.field("maxMsgNums"), Some("1"));
    let request = pull(&PullRequest { wait: Duration::MAX, ..pull_request() });
    assert_eq!(request.held(), MAX_PULL_WAIT + PULL_TICK);
}

#[test]
fn requests_have_the_fields_of_the_protocol() {
    let queue = [("topic", "T"), ("queueId", "2")];
    for (request, code, expected) in [
        (topic_route("T"), 105, vec![("topic", "T")]),
        (cluster_info(), 106, vec![]),
        (topic_list(), 206, vec![]),
        (topic_config("T"), 351, vec![("topic", "T")]),
        (all_topic_configs(), 21, vec![]),
        (broker_config(), 26, vec![]),
        (runtime_info(), 28, vec![]),
        (max_offset("T", 2), 30, queue.to_vec()),
        (min_offset("T", 2), 31, queue.to_vec()),
        (earliest_store_time("T", 2), 32, queue.to_vec()),
        (
            search_offset("T", 2, 1_700_000_000_000, Boundary::Upper),
            29,
            vec![("topic", "T"), ("queueId", "2"), ("timestamp", "1700000000000"), ("boundaryType", "UPPER")],
        ),
        (view_message(1024, None), 33, vec![("offset", "1024")]),
        (view_message(1024, Some("T")), 33, vec![("offset", "1024"), ("topic", "T")]),
        (all_offsets(), 43, vec![]),
        (consume_stats("g", None), 208, vec![("consumerGroup", "g")]),
        (consume_stats("g", Some("T")), 208, vec![("consumerGroup", "g"), ("topic", "T")]),
        (topic_stats("T"), 202, vec![("topic", "T")]),
        (group_configs(), 201, vec![]),
        (groups_of_topic("T"), 300, vec![("topic", "T")]),
    ] {
        assert_eq!(request.code(), code);
        assert_eq!(fields(request), pairs(&expected), "{code}");
    }
}

#[test]
fn a_query_marks_unique_keys_only() {
    let query =
        QueryMessages { topic: "T", key: "k", max_messages: 64, begin: 0, end: i64::MAX, is_unique: false };
    let expected = [
        ("topic", "T"),
        ("key", "k"),
        ("maxNum", "64"),
        ("beginTimestamp", "0"),
        ("endTimestamp", "9223372036854775807"),
    ];
    assert_eq!(fields(query_messages(&query)), pairs(&expected));
    let unique = query_messages(&QueryMessages { is_unique: true, ..query }).into_command();
    assert_eq!(unique.field("_UNIQUE_KEY_QUERY"), Some("true"));
}

#[test]
fn a_route_is_read_with_quoted_and_bare_broker_ids() {
    for id in ["\"0\"", "0"] {
        let body = format!(
            r#"{{"brokerDatas":[{{"brokerAddrs":{{{id}:"127.0.0.1:10911",1:"127.0.0.1:10921"}},"brokerName":"broker-a",
            "cluster":"DefaultCluster","enableActingMaster":false}}],"filterServerTable":{{}},"orderTopicConf":null,
            "queueDatas":[{{"brokerName":"broker-a","perm":6,"readQueueNums":4,"writeQueueNums":8,"topicSysFlag":0}}]}}"#
        );
        let route = TopicRoute::parse(body.as_bytes()).unwrap();
        let addresses = BTreeMap::from([(0, "127.0.0.1:10911".into()), (1, "127.0.0.1:10921".into())]);
        let broker = Broker { name: "broker-a".into(), cluster: "DefaultCluster".into(), addresses };
        assert_eq!(broker.master(), Some("127.0.0.1:10911"));
        let queue = QueueData { broker: "broker-a".into(), read: 4, write: 8, perm: 6 };
        assert_eq!(queue.readable(), 0..4);
        assert_eq!(QueueData { perm: PERM_WRITE, ..queue.clone() }.readable(), 0..0);
        assert_eq!(route, TopicRoute { brokers: vec![broker], queues: vec![queue], static_topic: false });
    }
    let body = br#"{"brokerDatas":null,"topicQueueMappingByBroker":{"b":{"topic":"T"}}}"#;
    let route = TopicRoute::parse(body).unwrap();
    assert!(route.static_topic && route.brokers.is_empty());
    assert!(!TopicRoute::parse(br#"{"topicQueueMappingByBroker":{}}"#).unwrap().static_topic);
}

#[test]
fn clusters_topics_and_groups_are_read() {
    let body =
        br#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"h:1"},"brokerName":"broker-a","cluster":"C"}},
        "clusterAddrTable":{"C":["broker-a"]}}"#;
    let info = ClusterInfo::parse(body).unwrap();
    assert_eq!(info.brokers[0].master(), Some("h:1"));
    assert_eq!(info.clusters["C"], ["broker-a"]);
    assert_eq!(parse_topics(br#"{"topicList":["T","%RETRY%g"]}"#).unwrap(), ["T", "%RETRY%g"]);
    assert_eq!(parse_topics(br#"{"topicList":{}}"#), Err(AnswerError::Unreadable("topicList")));
    assert_eq!(parse_groups(br#"{"groupList":["g1"]}"#).unwrap(), ["g1"]);
    let body = br#"{"dataVersion":{"counter":1},"topicConfigTable":{"T":{"attributes":{"message.type":"FIFO"},
        "order":true,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,
        "writeQueueNums":2}},"topicQueueMappingDetailMap":{}}"#;
    let configs = parse_topic_configs(body).unwrap();
    let expected = TopicConfig {
        name: "T".into(),
        read: 4,
        write: 2,
        perm: 6,
        order: true,
        attributes: BTreeMap::from([("message.type".into(), "FIFO".into())]),
        static_topic: false,
    };
    assert_eq!(configs, [expected]);
    let body = br#"{"subscriptionGroupTable":{"g1":{"consumeEnable":false,"consumeMessageOrderly":true,
        "groupName":"g1","retryMaxTimes":16,"retryQueueNums":1}}}"#;
    let group = GroupConfig {
        name: "g1".into(),
        consume_enabled: false,
        orderly: true,
        retry_max_times: 16,
        retry_queues: 1,
    };
    assert_eq!(parse_group_configs(body).unwrap(), [group]);
}

#[test]
fn settings_are_lines_and_their_values_are_not_shown() {
    let config = parse_properties(
        b"useServerSideResetOffset=true\nfileReservedTime=72\r\na=b=c\nnothing\npassword=pw1\n",
    );
    assert_eq!(config.get_bool("useServerSideResetOffset"), Some(true));
    assert_eq!((config.get_i64("fileReservedTime"), config.get("a")), (Some(72), Some("b=c")));
    assert_eq!((config.get("nothing"), config.get_i64("a")), (None, None));
    let shown = format!("{config:?}");
    assert!(shown.contains("password") && !shown.contains("pw1"), "{shown}");
    let info = parse_runtime_info(br#"{"table":{"commitLogMaxOffset":"4096","x":{}}}"#).unwrap();
    assert_eq!((info.get_i64("commitLogMaxOffset"), info.get("x")), (Some(4096), None));
}

#[test]
fn stored_offsets_are_split_at_the_first_at_sign() {
    let body = br#"{"dataVersion":{},"groupTopicMap":{"g":["T"]},"offsetTable":{"T@g":{0:12,"1":10},
        "%RETRY%g@g":{0:0},"DefaultHeartBeatSyncerTopic@CID_X@broadcast":{0:3}}}"#;
    let all = AllOffsets::parse(body).unwrap();
    let row = |topic: &str, group: &str, queue_id, offset| StoredOffset {
        topic: topic.into(),
        group: group.into(),
        queue_id,
        offset,
    };
    assert_eq!(all.offsets, [row("T", "g", 0, 12), row("T", "g", 1, 10), row("%RETRY%g", "g", 0, 0)]);
    assert_eq!(all.broadcast, [row("DefaultHeartBeatSyncerTopic", "CID_X", 0, 3)]);
    let unreadable = Err(AnswerError::Unreadable("offsetTable"));
    assert_eq!(AllOffsets::parse(br#"{"offsetTable":{"T":{0:1}}}"#), unreadable);
    assert_eq!(AllOffsets::parse(br#"{"offsetTable":{"T@g":{"x":1}}}"#), unreadable);
}

#[test]
fn stats_are_read_with_keys_that_are_objects_or_objects_in_texts() {
    for key in [
        r#"{"brokerName":"b","queueId":1,"topic":"T","extra":null}"#,
        r#""{\"topic\":\"T\",\"brokerName\":\"b\",\"queueId\":1}""#,
    ] {
        let queue = MessageQueue { topic: "T".into(), broker: "b".into(), queue_id: 1 };
        let body = format!(
            r#"{{"consumeTps":0.5,"offsetTable":{{{key}:{{"brokerOffset":9,"consumerOffset":4,"lastTimestamp":0}}}}}}"#
        );
        let stats = ConsumeStats::parse(body.as_bytes()).unwrap();
        let row = ConsumeProgress {
            queue: queue.clone(),
            broker_offset: 9,
            consumer_offset: 4,
            pull_offset: None,
            last_timestamp: None,
        };
        assert_eq!((stats.tps, stats.queues), (0.5, vec![row]));
        let body = format!(
            r#"{{"topicPutTps":1,"offsetTable":{{{key}:{{"lastUpdateTimestamp":5,"maxOffset":9,"minOffset":2}}}}}}"#
        );
        let stats = TopicStats::parse(body.as_bytes()).unwrap();
        let row = TopicStatsRow { queue, min_offset: 2, max_offset: 9, last_update: Some(5) };
        assert_eq!((stats.tps, stats.queues), (1.0, vec![row]));
    }
    let body = br#"{"offsetTable":{{"brokerName":"b","topic":"T"}:{}}}"#;
    assert_eq!(ConsumeStats::parse(body), Err(AnswerError::Missing("queueId")));
    let body = br#"{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:{"maxOffset":1}}}"#;
    assert_eq!(TopicStats::parse(body), Err(AnswerError::Missing("minOffset")));
}

#[test]
fn header_answers_are_read() {
    assert_eq!(parse_offset(&header(0, &[("offset", "-7")])), Ok(-7));
    assert_eq!(parse_offset(&header(0, &[])), Err(AnswerError::Missing("offset")));
    assert_eq!(parse_offset(&header(0, &[("offset", "x")])), Err(AnswerError::Unreadable("offset")));
    assert_eq!(parse_store_time(&header(0, &[("timestamp", "-1")])), Ok(None));
    assert_eq!(parse_store_time(&header(0, &[("timestamp", "5")])), Ok(Some(5)));
    assert_eq!(Pull::parse(&header(2, &[])), Ok(None));
    assert_eq!(Pull::parse(&header(19, &[])), Err(AnswerError::Missing("nextBeginOffset")));
}

#[test]
fn bodies_of_another_shape_are_named() {
    assert_eq!(TopicRoute::parse(b"[]"), Err(AnswerError::NotAnObject));
    let missing = JsonError::Missing { expected: "value", offset: 0 };
    assert_eq!(ClusterInfo::parse(b""), Err(AnswerError::Json(missing)));
    let body =
        br#"{"queueDatas":[{"brokerName":"b","perm":4294967296,"readQueueNums":1,"writeQueueNums":1}]}"#;
    assert_eq!(TopicRoute::parse(body), Err(AnswerError::Unreadable("perm")));
    let body = br#"{"brokerDatas":[{"brokerAddrs":{"x":"h:1"},"brokerName":"b"}]}"#;
    assert_eq!(TopicRoute::parse(body), Err(AnswerError::Unreadable("brokerAddrs")));
    assert_eq!(TopicRoute::parse(br#"{"brokerDatas":[1]}"#), Err(AnswerError::Missing("brokerName")));
    let body = br#"{"clusterAddrTable":{"C":[{}]}}"#;
    assert_eq!(ClusterInfo::parse(body), Err(AnswerError::Unreadable("clusterAddrTable")));
}

/// Text made of the words that bodies are made of.
fn body_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "0",
        "-1",
        "\"x\"",
        "null",
        "\"T@g\"",
        "\"offsetTable\"",
        "\"brokerDatas\"",
        "\"queueDatas\"",
        "\"topicList\"",
        "\"brokerName\"",
        "\"queueId\"",
        "\"topicConfigTable\"",
        "\"table\"",
    ]);
    proptest::collection::vec(word, 0..30).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_body_makes_a_reader_panic(body in body_like(), bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        for body in [body.as_bytes(), &bytes] {
            let _ = (TopicRoute::parse(body), ClusterInfo::parse(body), parse_topics(body), parse_groups(body));
            let _ = (TopicConfig::parse(body), parse_topic_configs(body), parse_group_configs(body));
            let _ = (AllOffsets::parse(body), ConsumeStats::parse(body), TopicStats::parse(body));
            let _ = (parse_properties(body), parse_runtime_info(body));
        }
    }

    #[test]
    fn no_pull_ever_commits(queue_id: i32, offset: i64, max_messages: u16, tags in proptest::option::of(".*"), wait: u64) {
        let wait = Duration::from_millis(wait);
        let tags = tags.as_deref();
        let pull = pull(&PullRequest { topic: "T", queue_id, offset, max_messages, tags, wait }).into_command();
        let flags: i32 = pull.field("sysFlag").unwrap().parse().unwrap();
        prop_assert_eq!(flags & 1, 0);
        prop_assert_eq!(flags & 4, 4);
        prop_assert_eq!(pull.field("consumerGroup"), Some(PULL_GROUP));
    }
}
