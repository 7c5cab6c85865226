//! A store directory: which logs it holds.

use std::path::{Path, PathBuf};

use super::format::{ActionFormat, IndexFormat, LogFormat, MessageFormat};
use super::segments::Segments;
use crate::error::{Error, Result};

/// Where messages are read from.
#[derive(Debug)]
pub enum MessageSource {
    /// A broker's message log: everything is known.
    MessageLog(Segments),
    /// A Java backup's index log: no store times, tags or contents.
    IndexLog(Segments),
}

/// The logs of a store directory.
#[derive(Debug)]
pub struct BrokerStore {
    /// Messages, if the store has them.
    pub messages: Option<MessageSource>,
    /// Actions, if the store has them.
    pub actions: Option<Segments>,
}

impl BrokerStore {
    /// Finds and checks the logs below `root`.
    ///
    /// # Errors
    /// [`Error::Input`] that names what is missing or unusable.
    pub fn find(root: &Path, allow_gaps: bool) -> Result<BrokerStore> {
        if !root.is_dir() {
            return Err(Error::input(root, "is not a directory"));
        }
        let folder = |name: &str| -> Option<PathBuf> {
            let folder = root.join(name);
            folder.is_dir().then_some(folder)
        };
        let messages = match (folder(MessageFormat::FOLDER), folder(IndexFormat::FOLDER)) {
            (Some(log), _) => {
                Some(MessageSource::MessageLog(Segments::find::<MessageFormat>(&log, allow_gaps)?))
            }
            (None, Some(log)) => {
                Some(MessageSource::IndexLog(Segments::find::<IndexFormat>(&log, allow_gaps)?))
            }
            (None, None) => None,
        };
        let actions = match folder(ActionFormat::FOLDER) {
            Some(log) => Some(Segments::find::<ActionFormat>(&log, allow_gaps)?),
            None => None,
        };
        if messages.is_none() && actions.is_none() {
            return Err(Error::input(root, no_logs(root)));
        }
        Ok(BrokerStore { messages, actions })
    }
}

fn no_logs(root: &Path) -> String {
    let own = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if [MessageFormat::FOLDER, ActionFormat::FOLDER, IndexFormat::FOLDER].contains(&own.as_str()) {
        return format!("is a log folder itself; pass the store root above `{own}`");
    }
    "holds neither messagelog/ nor actionlog/ nor indexlog/; pass the broker's store root (store.root, default /data)"
        .to_owned()
}
