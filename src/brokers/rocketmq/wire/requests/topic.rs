//! Where topics are and how they are set up (RocketMQ remoting: discovery; groups of a topic).
//!
//! None of these requests creates a topic.

use std::collections::BTreeMap;

use super::Request;
use super::answer::{
    AnswerError, entries, int, integer, is_present, items, object, plain_text, text, texts, truth_or,
};
use crate::brokers::rocketmq::format::json::Value;
use crate::brokers::rocketmq::wire::codes::request;

/// Bit of `perm`: queues can be read.
pub const PERM_READ: i32 = 4;
/// Bit of `perm`: queues can be written.
pub const PERM_WRITE: i32 = 2;

/// Asks a name server which brokers have the topic. Refused with code 17 if none has.
#[must_use]
pub fn topic_route(topic: &str) -> Request {
    Request::new(request::GET_ROUTEINFO_BY_TOPIC).with("topic", topic)
}

/// Asks a name server for all brokers.
#[must_use]
pub fn cluster_info() -> Request {
    Request::new(request::GET_BROKER_CLUSTER_INFO)
}

/// Asks a name server for the names of all topics, those of the system, retry and dead letter topics included.
/// Refused with code 1 and the remark `disable` where that is turned off.
#[must_use]
pub fn topic_list() -> Request {
    Request::new(request::GET_ALL_TOPIC_LIST_FROM_NAMESERVER)
}

/// Asks a broker for the set-up of a topic there. Refused with code 17 if it has no such topic.
#[must_use]
pub fn topic_config(topic: &str) -> Request {
    Request::new(request::GET_TOPIC_CONFIG).with("topic", topic)
}

/// Asks a broker for the set-up of all its topics.
#[must_use]
pub fn all_topic_configs() -> Request {
    Request::new(request::GET_ALL_TOPIC_CONFIG)
}

/// Asks a broker for the groups that consume a topic: those online and those with stored offsets.
#[must_use]
pub fn groups_of_topic(topic: &str) -> Request {
    Request::new(request::QUERY_TOPIC_CONSUME_BY_WHO).with("topic", topic)
}

/// A master and its slaves, which share a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// The name.
    pub name: String,
    /// The cluster; can be empty.
    pub cluster: String,
    /// `host:port` by broker id: 0 is the master, larger ids are slaves.
    pub addresses: BTreeMap<i64, String>,
}

impl Broker {
    /// Address of the master, if there is one.
    #[must_use]
    pub fn master(&self) -> Option<&str> {
        self.addresses.get(&0).map(String::as_str)
    }

    fn parse(broker: &Value) -> Result<Self, AnswerError> {
        let address = |(id, address): &(Value, Value)| {
            let address = plain_text(address).ok_or(AnswerError::Unreadable("brokerAddrs"))?;
            Ok((integer(id, "brokerAddrs")?, address))
        };
        Ok(Self {
            name: text(broker, "brokerName")?,
            cluster: broker.get("cluster").and_then(plain_text).unwrap_or_default(),
            addresses: entries(broker, "brokerAddrs")?
                .iter()
                .map(address)
                .collect::<Result<_, AnswerError>>()?,
        })
    }
}

/// The queues that a topic has on one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueData {
    /// Name of the broker.
    pub broker: String,
    /// Number of queues that can be read: ids 0 to `read` - 1.
    pub read: i32,
    /// Number of queues that are written to: ids 0 to `write` - 1.
    pub write: i32,
    /// Permission bits, such as [`PERM_READ`].
    pub perm: i32,
}

impl QueueData {
    /// Ids of the queues that can be pulled from.
    #[must_use]
    pub const fn readable(&self) -> std::ops::Range<i32> {
        0..if self.perm & PERM_READ == 0 { 0 } else { self.read }
    }
}

/// Where a topic is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRoute {
    /// The brokers that have it.
    pub brokers: Vec<Broker>,
    /// Its queues on each broker.
    pub queues: Vec<QueueData>,
    /// Whether it is a static topic, whose queue ids and offsets are logical and mapped by the leading broker.
    pub static_topic: bool,
}

impl TopicRoute {
    /// Reads the body of the answer to [`topic_route`].
    ///
    /// # Errors
    /// [`AnswerError`] if the body is of another shape.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let body = object(body)?;
        let queue = |queue: &Value| {
            Ok(QueueData {
                broker: text(queue, "brokerName")?,
                read: int(queue, "readQueueNums")?,
                write: int(queue, "writeQueueNums")?,
                perm: int(queue, "perm")?,
            })
        };
        Ok(Self {
            brokers: items(&body, "brokerDatas")?.iter().map(Broker::parse).collect::<Result<_, _>>()?,
            queues: items(&body, "queueDatas")?.iter().map(queue).collect::<Result<_, AnswerError>>()?,
            static_topic: is_present(&body, "topicQueueMappingByBroker"),
        })
    }
}

/// All brokers a name server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterInfo {
    /// The brokers of all clusters.
    pub brokers: Vec<Broker>,
    /// Names of the brokers by cluster.
    pub clusters: BTreeMap<String, Vec<String>>,
}

impl ClusterInfo {
    /// Reads the body of the answer to [`cluster_info`].
    ///
    /// # Errors
    /// [`AnswerError`] if the body is of another shape.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let body = object(body)?;
        let brokers = entries(&body, "brokerAddrTable")?.iter().map(|(_, broker)| Broker::parse(broker));
        let mut clusters = BTreeMap::new();
        for (name, brokers) in entries(&body, "clusterAddrTable")? {
            let unreadable = AnswerError::Unreadable("clusterAddrTable");
            let names: Option<_> = brokers.items().iter().map(plain_text).collect();
            let (Some(name), Some(names)) = (plain_text(name), names) else {
                return Err(unreadable);
            };
            clusters.insert(name, names);
        }
        Ok(Self { brokers: brokers.collect::<Result<_, _>>()?, clusters })
    }
}

/// Reads the body of the answer to [`topic_list`]: names of topics.
///
/// # Errors
/// [`AnswerError`] if the body is of another shape.
pub fn parse_topics(body: &[u8]) -> Result<Vec<String>, AnswerError> {
    texts(&object(body)?, "topicList")
}

/// Reads the body of the answer to [`groups_of_topic`]: names of groups.
///
/// # Errors
/// [`AnswerError`] if the body is of another shape.
pub fn parse_groups(body: &[u8]) -> Result<Vec<String>, AnswerError> {
    texts(&object(body)?, "groupList")
}

/// How a topic is set up on one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// The topic.
    pub name: String,
    /// Number of queues that can be read.
    pub read: i32,
    /// Number of queues that are written to.
    pub write: i32,
    /// Permission bits, such as [`PERM_READ`].
    pub perm: i32,
    /// Whether producers were promised an order.
    pub order: bool,
    /// Attributes by name, such as `message.type` or `queue.type`.
    pub attributes: BTreeMap<String, String>,
    /// Whether it is a static topic.
    pub static_topic: bool,
}

impl TopicConfig {
    /// Reads the body of the answer to [`topic_config`].
    ///
    /// # Errors
    /// [`AnswerError`] if the body is of another shape.
    pub fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        Self::from_value(&object(body)?)
    }

    fn from_value(config: &Value) -> Result<Self, AnswerError> {
        let attribute = |(name, value): &(Value, Value)| Some((plain_text(name)?, plain_text(value)?));
        Ok(Self {
            name: text(config, "topicName")?,
            read: int(config, "readQueueNums")?,
            write: int(config, "writeQueueNums")?,
            perm: int(config, "perm")?,
            order: truth_or(config, "order", false)?,
            attributes: entries(config, "attributes")?.iter().filter_map(attribute).collect(),
            static_topic: is_present(config, "mappingDetail"),
        })
    }
}

/// Reads the body of the answer to [`all_topic_configs`].
///
/// # Errors
/// [`AnswerError`] if the body is of another shape.
pub fn parse_topic_configs(body: &[u8]) -> Result<Vec<TopicConfig>, AnswerError> {
    let body = object(body)?;
    entries(&body, "topicConfigTable")?.iter().map(|(_, config)| TopicConfig::from_value(config)).collect()
}
