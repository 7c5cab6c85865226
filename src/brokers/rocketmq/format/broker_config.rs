//! The JSON files in the `config` folder of a store: topics, groups and offsets (RocketMQ formats: JSON files).
//!
//! Each decoder takes the bytes of one file. It never opens files and never looks for the `.bak` beside them. Unknown
//! members are ignored, a missing table counts as empty, and an entry of the wrong shape is left out. A file that is
//! empty or not a JSON object is an error, so that the caller can use the backup.

use std::collections::BTreeMap;

use thiserror::Error;

use super::json;
use super::json::{JsonError, Value};

/// Name of the file with the offsets of the groups, see [`ConsumerOffsets`].
pub const CONSUMER_OFFSETS: &str = "consumerOffset.json";
/// Name of the file with the topics, see [`topics`].
pub const TOPICS: &str = "topics.json";
/// Name of the file with the groups, see [`subscription_groups`].
pub const SUBSCRIPTION_GROUPS: &str = "subscriptionGroup.json";
/// Name of the file with the progress of the delay levels, see [`delay_offsets`].
pub const DELAY_OFFSETS: &str = "delayOffset.json";

/// Why bytes are not a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// They are not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// They are JSON, but not an object.
    #[error("the JSON is no object")]
    NoObject,
}

/// Progress of a group in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The topic, which can be a retry topic.
    pub topic: String,
    /// The group.
    pub group: String,
    /// By queue: the queue offset to be consumed next. All below it were passed, which does not prove success.
    pub next_offsets: BTreeMap<i32, i64>,
}

/// `consumerOffset.json`, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerOffsets {
    /// Progress of the groups that share their messages.
    pub groups: Vec<Progress>,
    /// Progress that a 5.x broker keeps for groups in broadcast mode, for all clients of the group together.
    pub broadcasts: Vec<Progress>,
}

/// A topic as configured on a broker. Numbers the file does not give are 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The name.
    pub name: String,
    /// Number of queues to read from.
    pub read_queues: i32,
    /// Number of queues to write to.
    pub write_queues: i32,
    /// Bits: 4 read, 2 write, 1 inherit.
    pub permissions: i32,
    /// System flags, opaque.
    pub system_flags: i32,
    /// `SINGLE_TAG` or `MULTI_TAG`, if given.
    pub filter_type: Option<String>,
    /// Whether the topic is marked as ordered.
    pub is_ordered: bool,
    /// Attributes of 5.x brokers; names without the `+` that can stand before them.
    pub attributes: BTreeMap<String, String>,
}

impl Topic {
    /// `NORMAL`, `FIFO`, `DELAY` or `TRANSACTION`, if the topic says so.
    #[must_use]
    pub fn message_type(&self) -> Option<&str> {
        self.attributes.get("message.type").map(String::as_str)
    }

    /// `SimpleCQ` or `BatchCQ`, if the topic says so.
    #[must_use]
    pub fn queue_type(&self) -> Option<&str> {
        self.attributes.get("queue.type").map(String::as_str)
    }
}

/// A consumer group as configured on a broker. Fields that the file does not have get the broker's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionGroup {
    /// The name.
    pub name: String,
    /// Whether the group may consume.
    pub is_enabled: bool,
    /// Whether it may consume in broadcast mode.
    pub may_broadcast: bool,
    /// Whether it consumes in order.
    pub is_orderly: bool,
    /// Number of queues of its retry topic.
    pub retry_queues: i32,
    /// Redeliveries before a message becomes a dead letter.
    pub max_retries: i32,
    /// Minutes a consumer may take for a message.
    pub consume_timeout_minutes: i32,
}

/// Decodes `consumerOffset.json`.
///
/// # Errors
/// [`ConfigError`] if the bytes are not a JSON object.
pub fn consumer_offsets(bytes: &[u8]) -> Result<ConsumerOffsets, ConfigError> {
    let root = object(bytes)?;
    let mut offsets = ConsumerOffsets::default();
    for (key, queues) in table(&root, "offsetTable") {
        // A topic cannot contain this character; a group of an old broker can.
        let Some((topic, group)) = key.as_str().and_then(|key| key.split_once('@')) else { continue };
        let (group, list) = match group.strip_suffix("@broadcast") {
            Some(group) => (group, &mut offsets.broadcasts),
            None => (group, &mut offsets.groups),
        };
        let next_offsets = numbers(queues);
        list.push(Progress { topic: topic.to_owned(), group: group.to_owned(), next_offsets });
    }
    Ok(offsets)
}

/// Decodes `topics.json`, in the order of the file.
///
/// # Errors
/// [`ConfigError`] if the bytes are not a JSON object.
pub fn topics(bytes: &[u8]) -> Result<Vec<Topic>, ConfigError> {
    Ok(named_objects(&object(bytes)?, "topicConfigTable", |name, topic| Topic {
        name,
        read_queues: number(topic, "readQueueNums").unwrap_or(0),
        write_queues: number(topic, "writeQueueNums").unwrap_or(0),
        permissions: number(topic, "perm").unwrap_or(0),
        system_flags: number(topic, "topicSysFlag").unwrap_or(0),
        filter_type: topic.get("topicFilterType").and_then(Value::as_str).map(str::to_owned),
        is_ordered: flag(topic, "order", false),
        attributes: table(topic, "attributes").iter().filter_map(attribute).collect(),
    }))
}

/// Decodes `subscriptionGroup.json`, in the order of the file.
///
/// # Errors
/// [`ConfigError`] if the bytes are not a JSON object.
pub fn subscription_groups(bytes: &[u8]) -> Result<Vec<SubscriptionGroup>, ConfigError> {
    Ok(named_objects(&object(bytes)?, "subscriptionGroupTable", |name, group| SubscriptionGroup {
        name,
        is_enabled: flag(group, "consumeEnable", true),
        may_broadcast: flag(group, "consumeBroadcastEnable", true),
        is_orderly: flag(group, "consumeMessageOrderly", false),
        retry_queues: number(group, "retryQueueNums").unwrap_or(1),
        max_retries: number(group, "retryMaxTimes").unwrap_or(16),
        consume_timeout_minutes: number(group, "consumeTimeoutMinute").unwrap_or(15),
    }))
}

/// Decodes `delayOffset.json`: by delay level, from 1 on, the queue offset in `SCHEDULE_TOPIC_XXXX` to be delivered
/// next. Queue `level - 1` belongs to a level.
///
/// # Errors
/// [`ConfigError`] if the bytes are not a JSON object.
pub fn delay_offsets(bytes: &[u8]) -> Result<BTreeMap<i32, i64>, ConfigError> {
    let root = object(bytes)?;
    Ok(root.get("offsetTable").map(numbers).unwrap_or_default())
}

fn object(bytes: &[u8]) -> Result<Value, ConfigError> {
    match json::parse(bytes)? {
        root @ Value::Map(_) => Ok(root),
        _ => Err(ConfigError::NoObject),
    }
}

fn table<'a>(root: &'a Value, name: &str) -> &'a [(Value, Value)] {
    root.get(name).map(Value::entries).unwrap_or_default()
}

/// Applies `decode` to each entry of a table that has a name and is an object.
fn named_objects<T>(root: &Value, name: &str, decode: impl Fn(String, &Value) -> T) -> Vec<T> {
    let entries = table(root, name).iter().filter(|(_, value)| matches!(value, Value::Map(_)));
    entries.filter_map(|(key, value)| Some(decode(key_text(key)?, value))).collect()
}

/// A key as text. Names may consist of digits, which can appear there without quotes.
fn key_text(key: &Value) -> Option<String> {
    match key {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A table of numbers by number.
fn numbers(table: &Value) -> BTreeMap<i32, i64> {
    let entry = |(key, value): &(Value, Value)| Some((i32::try_from(key.as_i64()?).ok()?, value.as_i64()?));
    table.entries().iter().filter_map(entry).collect()
}

fn attribute((name, value): &(Value, Value)) -> Option<(String, String)> {
    let name = name.as_str()?;
    Some((name.strip_prefix('+').unwrap_or(name).to_owned(), value.as_str()?.to_owned()))
}

fn number(object: &Value, name: &str) -> Option<i32> {
    i32::try_from(object.get(name)?.as_i64()?).ok()
}

fn flag(object: &Value, name: &str, default: bool) -> bool {
    object.get(name).and_then(Value::as_bool).unwrap_or(default)
}

#[cfg(test)]
#[path = "broker_config_tests.rs"]
mod tests;
