//! Names of the streams that feed the tables, and their movements.
//!
//! A stream is one log of one broker group (or of one broker, where brokers have logs of their own). Positions in different
//! kinds of logs never mix: two logs that hold the same messages are different streams. Which logs there are is defined by
//! each system; nothing here knows them.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::schema::TableDef;

/// What is particular about a log.
#[derive(Debug, Clone, Copy)]
pub struct LogDef {
    /// The name in stream names and in what operators see.
    pub name: &'static str,
    /// What it holds, for operators: `messages`.
    pub holds: &'static str,
    /// Tables that it feeds, in the order of commits: what lists a message comes after what describes it.
    pub tables: &'static [&'static TableDef],
    /// What positions mean.
    pub positions: Positions,
    /// What replay needs beside a position to go on there; `None` if the position tells all.
    pub state: Option<StateDef>,
    /// The log that brings rows of the same records, if there is one.
    pub beside: Option<&'static LogDef>,
}

/// What the positions of a log mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// Offsets in the broker's own log: whoever reads it meets the same positions.
    Offsets,
    /// What one process received, counted by itself: they mean nothing to another process.
    Received,
}

/// States of replay, as they lie beside the tables.
#[derive(Debug, Clone, Copy)]
pub struct StateDef {
    /// What operators call it.
    pub name: &'static str,
    /// Folder of the states of all groups.
    pub folder: &'static str,
    /// Ending of the files.
    pub ending: &'static str,
    /// Whether several logs of one group have states in the folder.
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

    /// Whether positions count what was received.
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

    /// The stream that brings rows of the same records, if there is one: a log can be imported and followed.
    #[must_use]
    pub fn beside(&self) -> Option<StreamId> {
        Some(StreamId { log: Log(self.log.0.beside?), ..self.clone() })
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
