//! Limits of a statement, and the errors when one is reached. Each error names the setting.

use std::time::Duration;

use tokio::time::Instant;

use crate::config;
use crate::error::{Error, Result};

/// Limits of one running statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
    pub(super) max_rows: usize,
}

impl Limits {
    /// Limits of a statement that begins now.
    pub(super) fn begin(settings: &config::Sql) -> Limits {
        Limits {
            deadline: Instant::now() + settings.timeout,
            timeout: settings.timeout,
            max_rows: settings.max_rows,
        }
    }

    /// The same limits with the deadline moved by `time`.
    pub(super) fn later_by(self, time: Duration) -> Limits {
        Limits { deadline: self.deadline + time, ..self }
    }

    /// The error of a statement that ran too long.
    pub(super) fn late(&self) -> Error {
        Error::Limit(format!(
            "the statement ran longer than {} (sql.timeout); narrow it, for example by dt",
            humantime::format_duration(self.timeout)
        ))
    }

    /// The error of a statement that ran too long because the store did not answer.
    pub(super) fn store_is_late(&self) -> Error {
        Error::store(
            "reading data files",
            format!(
                "no answer within {} (sql.timeout); the statement was waiting for the store",
                humantime::format_duration(self.timeout)
            ),
        )
    }
}

/// The error if other statements hold all permits until the deadline.
pub(super) fn busy(settings: &config::Sql) -> Error {
    Error::Busy(format!(
        "{} statements are running already (sql.max_concurrency); try again later",
        settings.max_concurrency
    ))
}

/// Fails if a statement is too long.
pub(super) fn check_length(statement: &str, settings: &config::Sql) -> Result<()> {
    let most = usize::try_from(settings.max_statement.as_u64()).unwrap_or(usize::MAX);
    if statement.len() > most { Err(too_long(settings)) } else { Ok(()) }
}

/// The error of a statement that is too long.
pub(crate) fn too_long(settings: &config::Sql) -> Error {
    Error::Limit(format!(
        "the statement is longer than sql.max_statement allows ({})",
        settings.max_statement
    ))
}

/// The error of an answer with too many rows.
pub(super) fn too_many_rows(most: usize) -> Error {
    Error::Limit(format!(
        "the answer has more than {most} rows (sql.max_rows); add LIMIT or a narrower WHERE"
    ))
}

/// The error if all statements together exceed their memory.
pub(super) fn too_much_memory(settings: &config::Sql) -> Error {
    Error::Limit(format!(
        "the statement needs more memory than sql.memory allows ({}); ask for fewer or shorter values",
        settings.memory
    ))
}

/// The error of a row that is too large.
pub(super) fn too_large_row(most: u64) -> Error {
    Error::Limit(format!(
        "the answer has a row larger than sql.max_row allows ({}); shorten its values, for example by left(…, 1000)",
        bytesize::ByteSize(most)
    ))
}

/// The error of an answer that is too large.
pub(super) fn too_many_bytes(most: u64) -> Error {
    Error::Limit(format!(
        "the answer is larger than sql.max_bytes allows ({}); add LIMIT, or ask for fewer columns",
        bytesize::ByteSize(most)
    ))
}
