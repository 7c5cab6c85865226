//! The sections of imports, tables and queries. They only hold and check values.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::limits::{self, LONGEST, exact_size, size};
use crate::error::Result;

/// Whose message contents are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ContentPolicy {
    /// Contents of all messages.
    All,
    /// Contents of dead letters only.
    Dead,
    /// No contents.
    None,
}

/// `[import]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Import {
    /// Whose message contents are kept.
    pub content: ContentPolicy,
    /// Largest body that is kept. For a larger one only size, flags and times are kept.
    #[serde(serialize_with = "exact_size")]
    pub max_body: ByteSize,
    /// Rows per commit.
    pub flush_rows: usize,
    /// Bytes of ids and contents per commit.
    #[serde(serialize_with = "exact_size")]
    pub flush_bytes: ByteSize,
    /// RocketMQ only. Before an import continues, the last so many imported bytes are compared with the log.
    #[serde(serialize_with = "exact_size")]
    pub check_bytes: ByteSize,
    /// RocketMQ only. Entries of index files per commit.
    pub index_entries: usize,
}

/// `[acks]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acks {
    /// Maximum pull ranges kept in memory per broker group; the oldest beyond it are dropped and counted.
    pub max_ranges: usize,
    /// Acknowledged ranges kept in memory per consumer, for acks that a broker writes twice.
    pub settled_ranges_per_consumer: usize,
}

/// `[lake]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lake {
    /// Rows from which a new file is settled from the start.
    pub settled_rows: usize,
    /// Time after the end of a day (UTC) at which it is closed and its recent files are settled.
    #[serde(with = "humantime_serde")]
    pub settle_after: Duration,
    /// How long removed files stay for readers that still use them; at most 7 days, since the log forgets them then.
    #[serde(with = "humantime_serde")]
    pub grace_period: Duration,
    /// Age at which a file that no commit names counts as left behind. A commit has half of it to store its files.
    #[serde(with = "humantime_serde")]
    pub leftover_age: Duration,
    /// Longest time for one call of the store.
    #[serde(with = "humantime_serde")]
    pub store_timeout: Duration,
    /// Maximum days with files of their own in one commit; rows of other days share a file of the current day.
    pub days_per_commit: usize,
    /// How far times of rows may be ahead of this machine's clock; later rows share a file of the current day.
    #[serde(with = "humantime_serde")]
    pub clock_tolerance: Duration,
    /// zstd level of Parquet pages, 1 to 22.
    pub zstd_level: i32,
    /// Rows of one row group.
    pub row_group_rows: usize,
    /// Rows of one page, the least that a point lookup decodes.
    pub page_rows: usize,
    /// Memory for merging the recent files of a day.
    #[serde(serialize_with = "exact_size")]
    pub settle_memory: ByteSize,
    /// Attempts of one commit when other writers commit first.
    pub commit_attempts: usize,
}

/// `[sql]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sql {
    /// Maximum rows of one answer.
    pub max_rows: usize,
    /// Longest time of one statement.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Memory of all statements together.
    #[serde(serialize_with = "exact_size")]
    pub memory: ByteSize,
    /// Maximum bytes of one answer.
    #[serde(serialize_with = "exact_size")]
    pub max_bytes: ByteSize,
    /// Maximum bytes of one row of an answer.
    #[serde(serialize_with = "exact_size")]
    pub max_row: ByteSize,
    /// Folder in which statements spill; default: the system's folder for temporary files.
    pub spill_dir: Option<PathBuf>,
    /// Maximum bytes that one statement spills.
    #[serde(serialize_with = "exact_size")]
    pub spill_max: ByteSize,
    /// Time from which a statement is logged as slow.
    #[serde(with = "humantime_serde")]
    pub slow: Duration,
    /// Maximum concurrent statements; more wait.
    pub max_concurrency: usize,
    /// Longest statement.
    #[serde(serialize_with = "exact_size")]
    pub max_statement: ByteSize,
}

/// `[cache]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Parquet footers and page indexes.
    #[serde(serialize_with = "exact_size")]
    pub metadata: ByteSize,
    /// Bloom filters.
    #[serde(serialize_with = "exact_size")]
    pub bloom: ByteSize,
    /// Row ranges of each subject in each file.
    #[serde(serialize_with = "exact_size")]
    pub runs: ByteSize,
}

impl Lake {
    pub(super) fn check(&self) -> Result<()> {
        limits::positive("lake.days_per_commit", self.days_per_commit)?;
        let least = Duration::from_millis(100);
        limits::duration("lake.store_timeout", self.store_timeout, least..=LONGEST)?;
        limits::duration("lake.leftover_age", self.leftover_age, Duration::from_secs(60)..=LONGEST * 7)?;
        limits::duration("lake.grace_period", self.grace_period, Duration::ZERO..=LONGEST * 7)?;
        let century = Duration::from_secs(100 * 366 * 24 * 3600);
        limits::duration("lake.clock_tolerance", self.clock_tolerance, Duration::ZERO..=century)
    }
}

impl Default for Import {
    fn default() -> Self {
        Import {
            content: ContentPolicy::All,
            max_body: ByteSize::mib(1),
            flush_rows: 1_000_000,
            flush_bytes: ByteSize::mib(48),
            check_bytes: ByteSize::mib(64),
            index_entries: 1_000_000,
        }
    }
}

impl Default for Acks {
    fn default() -> Self {
        Acks { max_ranges: 1_000_000, settled_ranges_per_consumer: 16 }
    }
}

impl Default for Lake {
    fn default() -> Self {
        Lake {
            settled_rows: 250_000,
            settle_after: Duration::from_secs(3600),
            grace_period: Duration::from_secs(24 * 3600),
            leftover_age: Duration::from_secs(3600),
            store_timeout: Duration::from_secs(20),
            days_per_commit: 100,
            clock_tolerance: Duration::from_secs(7 * 24 * 3600),
            zstd_level: 3,
            row_group_rows: 128 * 1024,
            page_rows: 4096,
            settle_memory: ByteSize::mib(256),
            commit_attempts: 20,
        }
    }
}

impl Default for Sql {
    fn default() -> Self {
        Sql {
            max_rows: 1_000_000,
            timeout: Duration::from_secs(60),
            memory: ByteSize::mib(512),
            max_bytes: ByteSize::gib(1),
            max_row: ByteSize::mib(8),
            spill_dir: None,
            spill_max: ByteSize::gib(4),
            slow: Duration::from_secs(5),
            max_concurrency: 8,
            max_statement: ByteSize::mib(1),
        }
    }
}

impl Sql {
    /// Checks that statements and rows fit into one frame between processes.
    pub(super) fn check(&self) -> Result<()> {
        size("sql.max_statement", self.max_statement, ByteSize::b(1)..=ByteSize::mib(32))?;
        size("sql.max_row", self.max_row, ByteSize::kib(1)..=ByteSize::mib(24))
    }
}

impl Default for Cache {
    fn default() -> Self {
        Cache { metadata: ByteSize::mib(256), bloom: ByteSize::mib(128), runs: ByteSize::mib(128) }
    }
}
