//! The contents of frames with JSON.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// The first message to a worker. It is sent through the pipe, since it can contain secrets of the store.
#[derive(Serialize, Deserialize)]
pub(super) struct Setup {
    /// URL of the data and options of the store. `None`: files are read through the server.
    pub(super) store: Option<(String, BTreeMap<String, String>)>,
    pub(super) spill_dir: PathBuf,
    pub(super) spill_max: u64,
    /// `sql.memory`.
    pub(super) memory: u64,
    pub(super) max_rows: usize,
    /// Maximum bytes of one row.
    pub(super) max_row: u64,
    /// Maximum bytes of one answer.
    pub(super) max_bytes: u64,
}

/// A request for ranges of a file that only the server can read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Read {
    pub(super) number: u64,
    pub(super) path: String,
    pub(super) ranges: Vec<Range<u64>>,
}

/// How a statement ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Whether it spent most of its time waiting for the store, and still waits.
    pub(super) waits_for_store: bool,
    /// The error, if it failed.
    pub(super) failure: Option<Failure>,
}

/// An error in a form that can be sent between processes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    Sql(String),
    Limit(String),
    Store { context: String, source: String },
    Other(String),
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        match error {
            Error::Sql(text) => Failure::Sql(text.clone()),
            Error::Limit(text) => Failure::Limit(text.clone()),
            Error::Store { context, source } => {
                Failure::Store { context: context.clone(), source: source.to_string() }
            }
            other if other.kind() == ErrorKind::Unavailable => {
                Failure::Store { context: "reading data files".to_owned(), source: other.to_string() }
            }
            other => Failure::Other(other.to_string()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Sql(text) => Error::Sql(text),
            Failure::Limit(text) => Error::Limit(text),
            Failure::Store { context, source } => Error::store(context, source),
            Failure::Other(text) => Error::Invariant(text),
        }
    }
}
