//! What the name of a stored topic and the properties of a record say about the record (RocketMQ formats: special
//! topics and message lifecycles).
//!
//! A broker stores a message again for each retry, delay, transaction step and dead letter, in topics with special
//! names. [`classify`] recognises such copies and finds the topic that the application knows. Only the name decides
//! what a record is: properties such as `REAL_TOPIC` stay on a message after it was delivered, so they never turn a
//! record in an ordinary topic into a parked copy.

use std::borrow::Cow;

/// Prefix of retry topics.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of topics with dead letters.
pub const DEAD_PREFIX: &str = "%DLQ%";
/// Topic where messages wait for their delay level.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Topic where messages wait for a time of their own.
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Topic of messages whose transaction is open.
pub const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Topic that notes which transactions were ended.
pub const OP_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// The two topics of transactions in brokers of 5.5 and newer that keep their state in RocksDB.
pub const ROCKSDB_HALF_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC";
/// See [`ROCKSDB_HALF_TOPIC`].
pub const ROCKSDB_OP_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC";
/// Topic of messages whose transaction was checked too often.
pub const CHECK_MAX_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Topic of the traces of clients, if neither broker nor client has another.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Prefix of topics with bookkeeping of pop consumption; the cluster follows.
pub const REVIVE_PREFIX: &str = "rmq_sys_REVIVE_LOG_";
/// Prefix of the names of light queues: their messages are stored in other topics and name them in a property.
pub const LIGHT_PREFIX: &str = "%LMQ%";

const CLOUD_TRACE_PREFIX: &str = "rmq_sys_TRACE_DATA_";
const SYSTEM_PREFIX: &str = "rmq_sys_";
const REPLY_SUFFIX: &str = "_REPLY_TOPIC";
const SYSTEM_TOPICS: [&str; 13] = [
    "TBW102",
    SCHEDULE_TOPIC,
    "BenchmarkTest",
    HALF_TOPIC,
    OP_TOPIC,
    ROCKSDB_HALF_TOPIC,
    ROCKSDB_OP_TOPIC,
    TRACE_TOPIC,
    CHECK_MAX_TOPIC,
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "CHECKPOINT_TOPIC",
    "DefaultHeartBeatSyncerTopic",
];
const SYSTEM_GROUPS: [&str; 12] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "__MONITOR_CONSUMER",
    "SCHEDULE_CONSUMER",
    "CLIENT_INNER_PRODUCER",
    "SELF_TEST_P_GROUP",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_ONSAPI_PULL",
    "CID_DefaultHeartBeatSyncerTopic",
];
const SYSTEM_GROUP_PREFIXES: [&str; 2] = ["CID_RMQ_SYS_", "_INNER_TRACE_PRODUCER"];

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A message in the topic it was sent to.
    Normal,
    /// A redelivery to one group.
    Retry,
    /// A message one group has given up.
    Dead,
    /// Waits for a delay level.
    Delay,
    /// Waits for a time of its own.
    Timer,
    /// Waits for the end of its transaction.
    Half,
    /// Notes that transactions were ended.
    Op,
    /// Bookkeeping of pop consumption, also while it waits in the timer topic.
    Pop,
    /// Traces of a client.
    Trace,
    /// Cancels a message that waits in the timer topic; has the unique id of that message.
    Recall,
    /// A message whose transaction was checked too often.
    CheckMax,
    /// Anything else in a topic of the system.
    System,
}

impl Kind {
    /// The name in lower case, words joined by `_`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Retry => "retry",
            Self::Dead => "dead",
            Self::Delay => "delay",
            Self::Timer => "timer",
            Self::Half => "half",
            Self::Op => "op",
            Self::Pop => "pop",
            Self::Trace => "trace",
            Self::Recall => "recall",
            Self::CheckMax => "check_max",
            Self::System => "system",
        }
    }
}

/// What a record is a copy of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy<'a> {
    /// What the record is.
    pub kind: Kind,
    /// The topic that the message was sent to; for a normal record its own topic. `None` if the record belongs to no
    /// topic of an application, or if the topic cannot be determined.
    pub origin_topic: Option<Cow<'a, str>>,
    /// The consumer group a copy was made for; `None` if it was made for none or if the group cannot be determined.
    pub group: Option<Cow<'a, str>>,
}

/// Classifies a record by its topic and properties.
///
/// `trace_topics` are topics with traces besides the usual ones. `known_groups` says whether a consumer group exists;
/// without it the group and topic of copies made by pop consumption cannot be determined. A topic with the name of a
/// cluster or a broker counts as a normal one here, see [`is_system_topic`].
pub fn classify<'a, S: AsRef<str>>(
    topic: &'a str,
    property: &dyn Fn(&str) -> Option<&'a str>,
    trace_topics: &[S],
    known_groups: &dyn Fn(&str) -> bool,
) -> Copy<'a> {
    let record = Record { property, known_groups };
    let is_trace = |name: &str| {
        name == TRACE_TOPIC
            || name.starts_with(CLOUD_TRACE_PREFIX)
            || trace_topics.iter().any(|trace_topic| trace_topic.as_ref() == name)
    };
    let of_no_topic = |kind| Copy { kind, origin_topic: None, group: None };
    match topic {
        SCHEDULE_TOPIC => record.parked(Kind::Delay),
        TIMER_TOPIC if property("TIMER_DEL_UNIQKEY").is_some() => record.parked(Kind::Recall),
        TIMER_TOPIC => record.parked(Kind::Timer),
        HALF_TOPIC | ROCKSDB_HALF_TOPIC => record.parked(Kind::Half),
        CHECK_MAX_TOPIC => record.parked(Kind::CheckMax),
        OP_TOPIC | ROCKSDB_OP_TOPIC => of_no_topic(Kind::Op),
        name if name.starts_with(REVIVE_PREFIX) => of_no_topic(Kind::Pop),
        name if is_trace(name) => of_no_topic(Kind::Trace),
        name if is_system_topic::<S>(name, &[], &[]) => of_no_topic(Kind::System),
        name => record.unparked(name),
    }
}

struct Record<'a, 'f> {
    property: &'f dyn Fn(&str) -> Option<&'a str>,
    known_groups: &'f dyn Fn(&str) -> bool,
}

impl<'a> Record<'a, '_> {
    /// A record in a topic that messages are delivered from.
    fn unparked(&self, topic: &'a str) -> Copy<'a> {
        let (kind, origin_topic, group) = if let Some(rest) = topic.strip_prefix(RETRY_PREFIX) {
            let (origin_topic, group) = self.retry(rest);
            (Kind::Retry, origin_topic, group)
        } else if let Some(group) = topic.strip_prefix(DEAD_PREFIX) {
            (Kind::Dead, self.dead(group), Some(group))
        } else {
            (Kind::Normal, Some(topic), None)
        };
        Copy { kind, origin_topic: origin_topic.map(Cow::Borrowed), group: group.map(Cow::Borrowed) }
    }

    /// A record that waits somewhere on its way to the topic in `REAL_TOPIC`.
    fn parked(&self, kind: Kind) -> Copy<'a> {
        match (self.property)("REAL_TOPIC") {
            Some(real) if real.starts_with(REVIVE_PREFIX) => {
                Copy { kind: Kind::Pop, origin_topic: None, group: None }
            }
            Some(real) if !is_system_topic::<&str>(real, &[], &[]) => Copy { kind, ..self.unparked(real) },
            _ => Copy { kind, origin_topic: None, group: None },
        }
    }

    /// Origin and group of a record in the retry topic that ends with `rest`.
    fn retry(&self, rest: &'a str) -> (Option<&'a str>, Option<&'a str>) {
        // No name contains this character, so this can only be a topic of pop consumption.
        if let Some((group, topic)) = rest.split_once('+') {
            return (Some(topic), Some(group));
        }
        // Copies made because of a consumer's answer have this property; copies made by pop consumption do not.
        if let Some(origin) = (self.property)("RETRY_TOPIC") {
            return (self.behind_pop_retry(origin, rest), Some(rest));
        }
        if let Some((group, topic)) = self.split_known(rest) {
            return (Some(topic), Some(group));
        }
        let is_group = !rest.contains('_') || (self.known_groups)(rest);
        (None, is_group.then_some(rest))
    }

    /// Origin of a dead letter of `group`.
    fn dead(&self, group: &'a str) -> Option<&'a str> {
        let origin = (self.property)("DLQ_ORIGIN_TOPIC").or_else(|| (self.property)("RETRY_TOPIC"))?;
        self.behind_pop_retry(origin, group)
    }

    /// The topic that `origin` stands for: itself, or the topic in the name if it is a retry topic of pop consumption.
    fn behind_pop_retry(&self, origin: &'a str, group: &str) -> Option<&'a str> {
        let Some(rest) = origin.strip_prefix(RETRY_PREFIX) else { return Some(origin) };
        if let Some(topic) = rest.strip_prefix(group).and_then(|rest| rest.strip_prefix(['_', '+'])) {
            return Some(topic);
        }
        rest.split_once('+').or_else(|| self.split_known(rest)).map(|(_, topic)| topic)
    }

    /// Splits `<group>_<topic>` behind the longest known group. Both names can contain `_` themselves.
    fn split_known(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let mut splits = text.rmatch_indices('_').filter_map(|(at, _)| {
            let (group, topic) = text.split_at_checked(at)?;
            Some((group, topic.strip_prefix('_')?))
        });
        splits.find(|(group, topic)| !topic.is_empty() && (self.known_groups)(group))
    }
}

/// What a cancel order in the timer topic cancels, from its property `TIMER_DEL_UNIQKEY`: the topic, which the first
/// brokers of 5.x leave out, and the unique id.
#[must_use]
pub fn recalled(property: &str) -> (Option<&str>, &str) {
    match property.rsplit_once('+') {
        Some((topic, unique_id)) => (Some(topic), unique_id),
        None => (None, property),
    }
}

/// Whether a topic belongs to the system. Some are named after clusters and brokers, whose names are given. Retry
/// topics and dead-letter topics do not belong to it.
#[must_use]
pub fn is_system_topic<S: AsRef<str>>(name: &str, clusters: &[S], brokers: &[S]) -> bool {
    let replies_of = name.strip_suffix(REPLY_SUFFIX);
    SYSTEM_TOPICS.contains(&name)
        || name.starts_with(SYSTEM_PREFIX)
        || clusters.iter().map(AsRef::as_ref).any(|cluster| cluster == name || Some(cluster) == replies_of)
        || brokers.iter().any(|broker| broker.as_ref() == name)
}

/// Whether a topic holds copies of messages of other topics: retries, dead letters, and messages that wait for a delay,
/// a time or the end of their transaction.
#[must_use]
pub fn holds_copies(name: &str) -> bool {
    name.starts_with(RETRY_PREFIX)
        || name.starts_with(DEAD_PREFIX)
        || name.starts_with(SYSTEM_PREFIX)
        // half topics of every kind of store
        || (name.starts_with("RMQ_SYS_") && name.ends_with("TRANS_HALF_TOPIC"))
        || [SCHEDULE_TOPIC, CHECK_MAX_TOPIC].contains(&name)
}

/// Whether a message is also in a light queue, according to its property `INNER_MULTI_DISPATCH`.
#[must_use]
pub fn is_in_light_queue(dispatch: Option<&str>, queue: &str) -> bool {
    dispatch.is_some_and(|queues| queues.split(',').any(|known| known.trim() == queue))
}

/// Whether a consumer or producer group belongs to the system. The default group names of clients do not.
#[must_use]
pub fn is_system_group(name: &str) -> bool {
    SYSTEM_GROUPS.contains(&name) || SYSTEM_GROUP_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
#[path = "topics_tests.rs"]
mod tests;
