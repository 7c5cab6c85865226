//! Errors of a store, in the form that an operator sees.

use crate::brokers::rocketmq::store::{StoreError, log};
use crate::error::{Error, Result};
use crate::lake::StreamId;

pub(super) fn store_error(error: StoreError) -> Error {
    let path = match &error {
        StoreError::NotADirectory(path)
        | StoreError::NoCommitLog(path)
        | StoreError::InsideStore(path)
        | StoreError::OnlyDLedger(path)
        | StoreError::Read { path, .. }
        | StoreError::Config { path, .. } => path.clone(),
    };
    let text = error.to_string();
    let reason = text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text).to_owned();
    Error::input(&path, reason)
}

pub(super) fn log_error(error: log::Error, stream: &StreamId) -> Error {
    Error::Input { path: stream.to_string(), reason: error.to_string() }
}

/// The content of a configuration file of the broker; nothing if the file is damaged, which is reported elsewhere.
pub(super) fn unless_damaged<T>(file: std::result::Result<Option<T>, StoreError>) -> Result<Option<T>> {
    match file {
        Err(StoreError::Config { .. }) => Ok(None),
        other => other.map_err(store_error),
    }
}
