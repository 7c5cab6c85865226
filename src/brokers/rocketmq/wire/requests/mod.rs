//! Requests that read, and their answers (RocketMQ remoting: requests).
//!
//! Only the functions of this module create a [`Request`], and none of them creates, commits, registers or changes
//! anything on a server. Answers are read tolerantly: unknown members are ignored, absent lists are empty. A value that
//! is absent and has no sensible default is an [`AnswerError`], never a guess.

mod admin;
mod answer;
mod message;
mod offset;
mod topic;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::codes::request_name;
use super::command::Command;

pub use admin::{
    GroupConfig, NamedTexts, broker_config, group_configs, parse_group_configs, parse_properties,
    parse_runtime_info, runtime_info,
};
pub use answer::{AnswerError, MessageQueue};
pub(super) use answer::{entries, field_i32, field_i64, integer, object};
pub use message::{
    MAX_PULL_WAIT, PULL_GROUP, PULL_TICK, Pull, PullRequest, PullStatus, QueryMessages, pull, query_messages,
    view_message,
};
pub use offset::{
    AllOffsets, Boundary, ConsumeProgress, ConsumeStats, StoredOffset, TopicStats, TopicStatsRow,
    all_offsets, consume_stats, earliest_store_time, max_offset, min_offset, parse_offset, parse_store_time,
    search_offset, topic_stats,
};
pub use topic::{
    Broker, ClusterInfo, PERM_READ, PERM_WRITE, QueueData, TopicConfig, TopicRoute, all_topic_configs,
    cluster_info, groups_of_topic, parse_groups, parse_topic_configs, parse_topics, topic_config, topic_list,
    topic_route,
};

/// A request that reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    code: i32,
    fields: Vec<(String, String)>,
    body: Bytes,
    held: Duration,
}

impl Request {
    pub(super) fn new(code: i32) -> Self {
        Self { code, fields: Vec::new(), body: Bytes::new(), held: Duration::ZERO }
    }

    /// Adds a field. On the wire every value is a text.
    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn with_body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    /// The request code.
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// The name of the request code.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        request_name(self.code).map_or_else(|| Cow::Owned(format!("request {}", self.code)), Cow::Borrowed)
    }

    /// How long the server may hold its answer back because the request asks it to wait. It is added to any time limit.
    #[must_use]
    pub const fn held(&self) -> Duration {
        self.held
    }

    /// The command to send, without opaque and signature.
    #[must_use]
    pub fn into_command(self) -> Command {
        Command { fields: self.fields, body: self.body, ..Command::request(self.code) }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
