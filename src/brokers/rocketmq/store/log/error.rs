//! What keeps a commit log from being read at all.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a commit log cannot be read at all, or not from the given offset.
#[derive(Debug, Error)]
pub enum Error {
    /// A folder or file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Two folders hold a file of the same name with different content.
    #[error("{} and {} have the same name but not the same content; one of them is of another log", first.display(), second.display())]
    Conflict {
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A file is longer than the distance to the next.
    #[error("{} reaches beyond the start of {}; they are not of the same log", first.display(), second.display())]
    Overlap {
        /// The file that is too long.
        first: PathBuf,
        /// The one behind it.
        second: PathBuf,
    },
    /// The files have the layout of DLedger, the Raft mode of old brokers.
    #[error("{}: is a DLedger log, which is not supported; only plain commit logs are", path.display())]
    DLedger {
        /// The first such file.
        path: PathBuf,
    },
    /// The files are segments of tiered storage, which hold the messages of one queue.
    #[error("{}: is a segment of tiered storage, which is not supported; only plain commit logs are", path.display())]
    Tiered {
        /// The first such file.
        path: PathBuf,
    },
    /// No record begins at the offset at which reading is to resume, although the log continues behind it: the log was
    /// cut and written again. Reading can start at the start of this file.
    #[error("{}: no record begins at offset {offset}, up to which the log was read before: it was rewritten", file.display())]
    Rewritten {
        /// The file that holds the offset.
        file: PathBuf,
        /// Where that file starts in the log.
        file_start: u64,
        /// The requested offset.
        offset: u64,
    },
    /// The offset at which reading is to resume lies behind the log: it was recreated, or is another one.
    #[error("the commit log ends at offset {end}, before {offset}, up to which it was read before")]
    BeyondEnd {
        /// The requested offset.
        offset: u64,
        /// Where the last file ends.
        end: u64,
    },
}

impl Error {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
