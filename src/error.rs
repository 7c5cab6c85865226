//! The one error type of the crate: rich inside, mapped once at each edge (HTTP status, exit code).
//!
//! A message says what is wrong, where, and what the caller can do. It never carries a panic or a
//! backtrace, and no variant is named after a library: callers match on [`ErrorKind`].

use std::path::Path;

/// Result of anything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request, statement, setting or command line is wrong: change it.
    Usage,
    /// An input file or directory is unusable: look at the file.
    Input,
    /// Bytes inside a log are damaged: inspect, or go on with `--skip-corrupt`.
    Corrupt,
    /// The store did not answer or refused: try again later.
    Unavailable,
    /// Another writer committed first and the attempts are used up: try again.
    Conflict,
    /// A limit on rows, time or memory was reached: ask for less or raise it.
    Limit,
    /// Stored data contradicts its own invariants: run `mqlake verify`.
    Invariant,
    /// The result could not be written: make room, or write it elsewhere.
    Output,
}

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked for something that cannot be done.
    #[error("{0}")]
    Usage(String),
    /// A setting is wrong.
    #[error("configuration: {0}")]
    Config(String),
    /// There are no tables yet.
    #[error("{0}")]
    NoData(String),
    /// A file or directory cannot be used as input.
    #[error("{path}: {reason}")]
    Input {
        /// The file or directory.
        path: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// A log is damaged.
    #[error("{path}: corrupt at offset {offset} (byte {position} of the file): {reason}{}", .next.map(|n| format!("; the next provable record is at offset {n}, `--skip-corrupt` goes on from there")).unwrap_or_default())]
    Corrupt {
        /// The segment file.
        path: String,
        /// Offset in the logical log.
        offset: u64,
        /// Byte position in the file.
        position: u64,
        /// What does not fit.
        reason: String,
        /// Offset where reading can go on, if one is provable.
        next: Option<u64>,
    },
    /// The store behind the tables failed.
    #[error("store unavailable: {context}: {source}")]
    Store {
        /// What was being done.
        context: String,
        /// The cause.
        source: Source,
    },
    /// A broker or metaserver did not answer, or not as it should.
    #[error("{0}")]
    Peer(String),
    /// A competing commit won too often.
    #[error("table `{table}`: other writers committed first {attempts} times in a row; try again")]
    Conflict {
        /// The table.
        table: String,
        /// How often the commit was tried.
        attempts: usize,
    },
    /// A configured limit was reached.
    #[error("{0}")]
    Limit(String),
    /// Too much is being done already.
    #[error("{0}")]
    Busy(String),
    /// A SQL statement that cannot be run.
    #[error("{0}")]
    Sql(String),
    /// What runs statements ended or cannot be started.
    #[error("{0}")]
    Engine(String),
    /// Data in the lake is not what its invariants say.
    #[error("{0}")]
    Invariant(String),
    /// The result could not be written where it was wanted.
    #[error("{0}")]
    Output(String),
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Usage(_) | Error::Config(_) | Error::NoData(_) | Error::Sql(_) => ErrorKind::Usage,
            Error::Input { .. } => ErrorKind::Input,
            Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::Store { .. } | Error::Busy(_) | Error::Peer(_) | Error::Engine(_) => {
                ErrorKind::Unavailable
            }
            Error::Conflict { .. } => ErrorKind::Conflict,
            Error::Limit(_) => ErrorKind::Limit,
            Error::Invariant(_) => ErrorKind::Invariant,
            Error::Output(_) => ErrorKind::Output,
        }
    }

    /// Exit code of the process: 2 the command line or configuration, 3 the input, 4 the store, 1 the rest.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind() {
            ErrorKind::Usage => 2,
            ErrorKind::Input | ErrorKind::Corrupt => 3,
            ErrorKind::Unavailable | ErrorKind::Conflict => 4,
            ErrorKind::Limit | ErrorKind::Invariant | ErrorKind::Output => 1,
        }
    }

    /// An unusable input file.
    pub fn input(path: &Path, reason: impl Into<String>) -> Self {
        Error::Input { path: path.display().to_string(), reason: reason.into() }
    }

    /// A failure of the store while doing `context`.
    pub fn store(context: impl Into<String>, source: impl Into<Source>) -> Self {
        Error::Store { context: context.into(), source: source.into() }
    }
}
