//! Settings, figures and groups of a broker (RocketMQ remoting: broker configuration, runtime info, groups).
//!
//! There is no request for a single group: by default it would create a missing group.

use std::collections::BTreeMap;
use std::fmt;

use super::Request;
use super::answer::{AnswerError, entries, int, object, plain_text, text, truth_or};
use crate::brokers::rocketmq::format::json::Value;
use crate::brokers::rocketmq::wire::codes::request;

/// Asks a broker for its settings.
#[must_use]
pub fn broker_config() -> Request {
    Request::new(request::GET_BROKER_CONFIG)
}

/// Asks a broker for its figures: start, version, extent of the commit log.
#[must_use]
pub fn runtime_info() -> Request {
    Request::new(request::GET_BROKER_RUNTIME_INFO)
}

/// Asks a broker for all its consumer groups.
#[must_use]
pub fn group_configs() -> Request {
    Request::new(request::GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
}

/// Texts by name. The settings of a broker can include passwords, so only names are printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct NamedTexts(BTreeMap<String, String>);

impl NamedTexts {
    /// The text with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The number with this name.
    #[must_use]
    pub fn get_i64(&self, name: &str) -> Option<i64> {
        self.get(name)?.trim().parse().ok()
    }

    /// The boolean with this name.
    #[must_use]
    pub fn get_bool(&self, name: &str) -> Option<bool> {
        self.get(name)?.trim().parse().ok()
    }
}

impl fmt::Debug for NamedTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads the body of the answer to [`broker_config`]: lines of `name=value`. Other lines are skipped.
#[must_use]
pub fn parse_properties(body: &[u8]) -> NamedTexts {
    let text = String::from_utf8_lossy(body);
    let lines = text.lines().filter_map(|line| line.split_once('='));
    NamedTexts(lines.map(|(name, value)| (name.trim().to_owned(), value.to_owned())).collect())
}

/// Reads the body of the answer to [`runtime_info`].
///
/// # Errors
/// [`AnswerError`] if the body is of another shape.
pub fn parse_runtime_info(body: &[u8]) -> Result<NamedTexts, AnswerError> {
    let body = object(body)?;
    let named = |(name, value): &(Value, Value)| Some((plain_text(name)?, plain_text(value)?));
    Ok(NamedTexts(entries(&body, "table")?.iter().filter_map(named).collect()))
}

/// How a consumer group is set up on one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// The group.
    pub name: String,
    /// Whether its consumers get messages.
    pub consume_enabled: bool,
    /// Whether its consumers get messages one after the other in each queue.
    pub orderly: bool,
    /// How often a message is tried again before it becomes a dead letter.
    pub retry_max_times: i32,
    /// Number of queues of its retry topic.
    pub retry_queues: i32,
}

/// Reads the body of the answer to [`group_configs`].
///
/// # Errors
/// [`AnswerError`] if the body is of another shape.
pub fn parse_group_configs(body: &[u8]) -> Result<Vec<GroupConfig>, AnswerError> {
    let body = object(body)?;
    let group = |(_, config): &(Value, Value)| {
        Ok(GroupConfig {
            name: text(config, "groupName")?,
            consume_enabled: truth_or(config, "consumeEnable", true)?,
            orderly: truth_or(config, "consumeMessageOrderly", false)?,
            retry_max_times: int(config, "retryMaxTimes")?,
            retry_queues: int(config, "retryQueueNums")?,
        })
    };
    entries(&body, "subscriptionGroupTable")?.iter().map(group).collect()
}
