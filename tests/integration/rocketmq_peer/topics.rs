//! What a broker is configured with: topics and groups, the ones every broker has included.
//!
//! Only the members that matter to a reader; whatever else a loaded file has is dropped.

use super::json::quoted;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Readable.
const READ: i32 = 4;
/// Writable.
const WRITE: i32 = 2;
/// Group that a pure reader pulls with.
pub(super) const TOOLS_CONSUMER: &str = "TOOLS_CONSUMER";

/// Settings of a topic on a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// Number of queues to read from.
    pub read_queues: i32,
    /// Number of queues to write to.
    pub write_queues: i32,
    /// Bits 4 read, 2 write.
    pub perm: i32,
    /// Attributes such as `message.type`.
    pub attributes: BTreeMap<String, String>,
}

impl TopicConfig {
    /// A topic with so many queues to read and write.
    pub fn new(queues: i32) -> Self {
        Self { read_queues: queues, write_queues: queues, perm: READ | WRITE, attributes: BTreeMap::new() }
    }

    pub(super) fn is_readable(&self) -> bool {
        self.perm & READ != 0
    }

    pub(super) fn is_writable(&self) -> bool {
        self.perm & WRITE != 0
    }

    pub(super) fn to_json(&self, topic: &str) -> String {
        json!({
            "attributes": self.attributes, "order": false, "perm": self.perm, "readQueueNums": self.read_queues,
            "topicFilterType": "SINGLE_TAG", "topicName": topic, "topicSysFlag": 0,
            "writeQueueNums": self.write_queues,
        })
        .to_string()
    }

    pub(super) fn from_json(config: &Value) -> Self {
        let number = |name: &str| config[name].as_i64().and_then(|number| i32::try_from(number).ok());
        let attributes = config["attributes"].as_object().into_iter().flatten();
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        Self {
            read_queues: number("readQueueNums").expect("readQueueNums"),
            write_queues: number("writeQueueNums").expect("writeQueueNums"),
            perm: number("perm").expect("perm"),
            attributes: attributes.filter_map(text).collect(),
        }
    }
}

/// The topics a broker makes at its first start.
pub(super) fn system_topics(cluster: &str, broker: &str) -> BTreeMap<String, TopicConfig> {
    let fixed = [
        ("BenchmarkTest", 1024),
        ("OFFSET_MOVED_EVENT", 1),
        ("RMQ_SYS_TRACE_TOPIC", 1),
        ("RMQ_SYS_TRANS_HALF_TOPIC", 1),
        ("RMQ_SYS_TRANS_OP_HALF_TOPIC", 1),
        ("SCHEDULE_TOPIC_XXXX", 18),
        ("SELF_TEST_TOPIC", 1),
        ("TBW102", 8),
    ];
    let named = [
        (cluster.to_owned(), 16),
        (broker.to_owned(), 1),
        (format!("{cluster}_REPLY_TOPIC"), 1),
        (format!("rmq_sys_REVIVE_LOG_{cluster}"), 8),
        (format!("rmq_sys_SYNC_BROKER_MEMBER_{broker}"), 1),
    ];
    let fixed = fixed.map(|(name, queues)| (name.to_owned(), queues));
    let all = fixed.into_iter().chain(named);
    all.map(|(name, queues)| (name, TopicConfig::new(queues))).collect()
}

/// The groups a broker makes at its first start.
pub(super) fn system_groups() -> BTreeSet<String> {
    let names = [
        TOOLS_CONSUMER,
        "SELF_TEST_C_GROUP",
        "CID_ONSAPI_PERMISSION",
        "CID_ONSAPI_PULL",
        "FILTERSRV_CONSUMER",
    ];
    names.map(str::to_owned).into_iter().collect()
}

/// Settings of a group, as 201 lists them.
pub(super) fn group_json(group: &str) -> String {
    let group = quoted(group);
    format!(
        r#"{{"attributes":{{}},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":{group},"groupRetryPolicy":{{"type":"CUSTOMIZED"}},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}}"#
    )
}
