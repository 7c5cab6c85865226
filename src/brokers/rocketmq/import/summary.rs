//! The parameters of an import, and its summary.

use std::path::PathBuf;

use serde::Serialize;

use crate::brokers::rocketmq::replay::RocketMqCounts;
use crate::lake::{Gap, Replaced, Settled};
use crate::stream::Skipped;

/// What to import.
#[derive(Debug, Clone)]
pub struct RocketMqImport {
    /// Store directory of the broker.
    pub store: PathBuf,
    /// Name of the broker.
    pub broker: String,
    /// Topics with traces besides the usual ones; others are recognised by their content.
    pub trace_topics: Vec<String>,
    /// Further directories of the commit log, of a broker that spreads it.
    pub commit_logs: Vec<PathBuf>,
    /// Skip damage instead of stopping there.
    pub skip_corrupt: bool,
}

/// What an import did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RocketMqSummary {
    /// Messages and events.
    pub messages: RocketMqCounts,
    /// Entries of index files whose records are gone.
    pub lost_keys: u64,
    /// Damage that was skipped.
    pub skipped: Vec<Skipped>,
    /// Stretches that the broker had removed before this import.
    pub gaps: Vec<Gap>,
    /// Ends of the log that were read earlier, and that the broker lost since.
    pub replaced: Vec<Replaced>,
    /// What an operator should know.
    pub warnings: Vec<String>,
    /// How the end of the log was recognised.
    pub end: String,
    /// Bytes of the log read.
    pub bytes_read: u64,
    /// Commits made.
    pub commits: u64,
    /// Files of closed days merged.
    #[serde(skip)]
    pub settled: Settled,
}

impl RocketMqSummary {
    /// Reports something to an operator, at once and in the summary.
    pub(super) fn warn(&mut self, what: String) {
        tracing::warn!("{what}");
        self.warnings.push(what);
    }
}
