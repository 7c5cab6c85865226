//! Names of the streams that feed the tables, and their movements.
//!
//! A stream is one log of one broker group (of RocketMQ: one broker); its positions are byte offsets in that log. Offsets of
//! different kinds of logs never mix: the message log of a broker and the index log of a Java backup are
//! different streams.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which log of a broker group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// QMQ's message log, or the index stream derived from it: offsets of the message log.
    Message,
    /// A Java backup's own index log: offsets of that log.
    Index,
    /// QMQ's action log.
    Action,
    /// RocketMQ's commit log, read from its files: physical offsets.
    CommitLog,
    /// What was pulled from a RocketMQ broker: bytes received, counted from the first pull on.
    Pulled,
    /// RocketMQ's index files, for keys whose records are gone: physical offsets.
    KeyIndex,
    /// Samples of progress from store directories of RocketMQ: their time.
    Samples,
}

impl Log {
    /// The name in stream names and in what operators see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Log::Message => "message",
            Log::Index => "index",
            Log::Action => "action",
            Log::CommitLog => "commitlog",
            Log::Pulled => "pulled",
            Log::KeyIndex => "keyindex",
            Log::Samples => "samples",
        }
    }
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// `qmq` or `rocketmq`.
    pub system: String,
    /// Broker group.
    pub broker_group: String,
    /// The log.
    pub log: Log,
}

impl StreamId {
    /// A stream of a QMQ broker group.
    #[must_use]
    pub fn qmq(broker_group: &str, log: Log) -> StreamId {
        StreamId { system: super::schema::SYSTEM_QMQ.to_owned(), broker_group: broker_group.to_owned(), log }
    }

    /// A stream of a RocketMQ broker.
    #[must_use]
    pub fn rocketmq(broker: &str, log: Log) -> StreamId {
        StreamId { system: super::schema::SYSTEM_ROCKETMQ.to_owned(), broker_group: broker.to_owned(), log }
    }

    /// The stream that brings rows of the same log, if there is one: a RocketMQ broker's log can be imported and
    /// followed.
    #[must_use]
    pub fn beside(&self) -> Option<StreamId> {
        let log = match self.log {
            Log::CommitLog => Log::Pulled,
            Log::Pulled => Log::CommitLog,
            _ => return None,
        };
        Some(StreamId { log, ..self.clone() })
    }

    /// Name of the stream's application transaction in the Delta log.
    #[must_use]
    pub fn application_id(&self) -> String {
        format!("mqlake/{self}")
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.system, self.broker_group, self.log.name())
    }
}

/// A stretch of a stream that a commit covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The stream.
    pub stream: StreamId,
    /// Position before; `None` before the first commit.
    pub from: Option<u64>,
    /// Position after.
    pub to: u64,
}

/// Bytes of a log that were gone before they could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The stream.
    pub stream: String,
    /// First offset not read.
    pub from: u64,
    /// Offset at which reading went on.
    pub to: u64,
}
