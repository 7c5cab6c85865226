//! Folders that do not outlive the process.
//!
//! What still runs when a command ends can write into such a folder while it is removed, so removing it is repeated
//! until it stays away.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::signals::Stop;
use crate::error::{Error, Result};

/// Most attempts to remove a folder.
const ATTEMPTS: usize = 100;
/// Time between two looks at a folder that was removed.
const PAUSE: Duration = Duration::from_millis(10);

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

/// Removes a folder, however busy it still is.
pub(super) fn remove(folder: &Path) {
    for _ in 0..ATTEMPTS {
        let _ = std::fs::remove_dir_all(folder);
        if !folder.exists() {
            std::thread::sleep(PAUSE);
            if !folder.exists() {
                return;
            }
        }
    }
}
