//! The one error type of the crate, mapped once to an HTTP status and once to an exit code.
//!
//! A message says what is wrong, where, and what the caller can do. It never contains a panic or a
//! backtrace, and no variant is named after a library: callers match on [`ErrorKind`].

use std::path::Path;

/// Result of anything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request, statement, setting or command line is wrong: correct it.
    Usage,
    /// An input file or directory is unusable: look at the file.
    Input,
    /// Bytes of a log are damaged: inspect them, or continue with `--skip-corrupt`.
    Corrupt,
    /// A store, a broker or a worker did not answer or refused: try again later.
    Unavailable,
    /// Other writers committed first in every attempt: try again.
    Conflict,
    /// A limit on rows, time or memory was reached: ask for less or raise it.
    Limit,
    /// Stored data contradicts its own invariants: run `mqlake verify`.
    Invariant,
    /// The result could not be written: free some space, or write it elsewhere.
    Output,
}

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller requested something that cannot be done.
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
        /// What is wrong with it.
        reason: String,
        /// Offset of the next provably sound record, if one was found.
        next: Option<u64>,
    },
    /// The store behind the tables failed.
    #[error("store unavailable: {context}: {source}")]
    Store {
        /// The operation that failed.
        context: String,
        /// The cause.
        source: Source,
    },
    /// A broker or another server did not answer, or gave an invalid answer.
    #[error("{0}")]
    Peer(String),
    /// Competing commits won in every attempt.
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
    /// Too many requests are running already.
    #[error("{0}")]
    Busy(String),
    /// A SQL statement that cannot be run.
    #[error("{0}")]
    Sql(String),
    /// The process that runs a statement ended early or cannot be started.
    #[error("{0}")]
    Engine(String),
    /// Stored data violates an invariant, or the program has a bug.
    #[error("{0}")]
    Invariant(String),
    /// The result could not be written to its target.
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

    /// Exit code of the process: 2 for the command line, configuration or statement, 3 for the input, 4 for a store or
    /// server that does not answer, 1 for the rest.
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
