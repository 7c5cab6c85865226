//! What a walk over a commit log returns.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::brokers::rocketmq::format::RecordError;
use crate::brokers::rocketmq::format::record::Record;

/// A step of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    /// A sound record: lengths, position and checksums hold.
    Record {
        /// Physical offset. The next record begins [`Record::size`] bytes further, or in the next file.
        position: u64,
        /// The record, borrowed until the next step.
        record: Record<'a>,
    },
    /// Something else.
    Event(Event),
}

/// What is not a record. Offsets are physical offsets in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The walk was to start before the first file, and starts at `to`. The broker deletes old files.
    Lost {
        /// The requested offset.
        from: u64,
        /// Start of the log.
        to: u64,
    },
    /// Files are missing.
    MissingFiles {
        /// First offset that is not there.
        from: u64,
        /// Where the log continues.
        to: u64,
    },
    /// The file was read to its end.
    EndOfFile {
        /// Where the file starts.
        start: u64,
        /// Where the next file starts, or will start.
        next: u64,
        /// The size in the end marker if it is not the number of bytes left in the file; a warning.
        wrong_marker: Option<i32>,
    },
    /// Bytes were skipped; a warning.
    Damage(Damage),
    /// The log ends here. This is always the last item.
    End {
        /// Where the next record will begin: start the next walk there.
        at: u64,
        /// How the end was recognised.
        reason: EndReason,
    },
}

/// A stretch without sound records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// First physical offset that was skipped.
    pub offset: u64,
    /// What is wrong there.
    pub reason: DamageReason,
    /// Where reading continues: at a sound record that was found by its magic, or at the start of the next file.
    pub skipped_to: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, reason, skipped_to } = self;
        write!(f, "{}: skipped offsets {offset} to {skipped_to}: {reason}", file.display())
    }
}

/// Why bytes were skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DamageReason {
    /// No sound record begins there.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Zeros, although the log continues behind them.
    #[error("zeros in the middle of the log")]
    Zeros,
    /// The file is shorter than it was.
    #[error("the file is cut")]
    Cut,
}

/// How the end of a log was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EndReason {
    /// Zeros follow: the part of a file that is not written yet.
    #[error("zeros follow")]
    Zeros,
    /// The last record is not whole and nothing sound follows: the broker is writing it, or was stopped.
    #[error("the last record is not whole: {0}")]
    Torn(RecordError),
    /// Older records follow, which a recovery of the broker cut off and which are not overwritten yet.
    #[error("remains of older records follow")]
    Stale,
    /// The last file is full and the next is not there yet.
    #[error("the last file ends")]
    EndOfFiles,
    /// The last file is shorter than the others and ends behind a record: its copy is not complete.
    #[error("the last file is cut")]
    Cut,
}
