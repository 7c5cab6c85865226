//! Temporary folders that are removed when the process ends.
//!
//! Threads that still run when a command ends can write into such a folder while it is removed, so the removal is
//! repeated until the folder stays away.

use std::path::PathBuf;

use super::signals::{Stop, remove};
use crate::error::{Error, Result};

/// A directory that is removed with the value, or when a signal ends the process.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    /// Creates a folder in the system's directory for temporary files.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be created.
    pub(super) fn new(stop: &Stop) -> Result<Scratch> {
        // a unique name, so that the removed folder is certainly ours
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
