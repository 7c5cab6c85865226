//! Folders that do not outlive the process.
//!
//! What still runs when a command ends can write into such a folder while it is removed, so removing it is repeated
//! until it stays away.

use std::path::PathBuf;

use super::signals::{Stop, remove};
use crate::error::{Error, Result};

/// A directory that goes away with the value, or with the process.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    /// Makes a folder in the system's directory for such.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be created.
    pub(super) fn new(stop: &Stop) -> Result<Scratch> {
        // a name that nothing else has: what is removed in the end is ours
        let path = std::env::temp_dir().join(format!("mqlake-demo-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path)
            .map_err(|error| Error::input(&path, format!("cannot be created: {error}")))?;
        stop.remove_at_exit(&path);
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}
