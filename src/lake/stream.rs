//! Names of the streams that feed the tables, and how commits move their positions.
//!
//! A stream is one log of one broker group (or of one broker, where brokers have logs of their own). Positions in different
//! kinds of logs never mix: two logs that hold the same messages are different streams. Each system defines its own logs;
//! nothing here knows them.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::schema::TableDef;

/// Definition of a log.
#[derive(Debug, Clone, Copy)]
pub struct LogDef {
    /// The name in stream names and in what operators see.
    pub name: &'static str,
    /// What it holds, for operators: `messages`.
    pub holds: &'static str,
    /// Tables that it feeds, in the order of commits: a table that lists messages comes after those that describe them.
    pub tables: &'static [&'static TableDef],
    /// What positions mean.
    pub positions: Positions,
    /// What replay needs besides a position to continue there; `None` if the position is enough.
    pub state: Option<StateDef>,
    /// The log that brings rows of the same records, if there is one: see BESIDE in `table.rs`.
    pub beside: Option<&'static LogDef>,
}

/// What the positions of a log mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// Offsets in the broker's own log: every reader of the log meets the same positions.
    Offsets,
    /// Bytes that one process received, counted by that process: they mean nothing to another process.
    Received,
}

/// How states of replay are stored beside the tables.
#[derive(Debug, Clone, Copy)]
pub struct StateDef {
    /// Its name for operators.
    pub name: &'static str,
    /// Folder of the states of all groups.
    pub folder: &'static str,
    /// Extension of the files.
    pub ending: &'static str,
    /// Whether several logs of one group keep states in the folder.
    pub is_by_log: bool,
}

/// A log of a system. Two are the same if their names are.
#[derive(Debug, Clone, Copy)]
pub struct Log(pub &'static LogDef);

impl Log {
    /// The name in stream names and in what operators see.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether positions count received bytes, see [`Positions::Received`].
    #[must_use]
    pub fn is_received(self) -> bool {
        self.0.positions == Positions::Received
    }
}

impl PartialEq for Log {
    fn eq(&self, other: &Log) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Log {}

impl Hash for Log {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.name().hash(hasher);
    }
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// Value of the column `system`.
    pub system: String,
    /// Broker group.
    pub broker_group: String,
    /// The log.
    pub log: Log,
}

impl StreamId {
    /// A log of a broker group.
    #[must_use]
    pub fn new(system: &str, broker_group: &str, log: Log) -> StreamId {
        StreamId { system: system.to_owned(), broker_group: broker_group.to_owned(), log }
    }

    /// The stream that brings rows of the same records, if there is one: a log can be both imported and followed.
    #[must_use]
    pub fn beside(&self) -> Option<StreamId> {
        Some(StreamId { log: Log(self.log.0.beside?), ..self.clone() })
    }

    /// Name of the stream's application transaction in the Delta log.
    #[must_use]
    pub(super) fn application_id(&self) -> String {
        format!("mqlake/{self}")
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.system, self.broker_group, self.log.name())
    }
}

/// The move of a stream's position that a commit makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The stream.
    pub stream: StreamId,
    /// Position before; `None` before the first commit.
    pub from: Option<u64>,
    /// Position after.
    pub to: u64,
}

/// Bytes of a log that the broker removed before they could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The stream.
    pub stream: String,
    /// First offset not read.
    pub from: u64,
    /// Offset at which reading continued.
    pub to: u64,
}
