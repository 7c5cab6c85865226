//! The folder that statements spill to: one for each server process, with a subfolder for each worker.
//!
//! A lock shows whether the process that made a folder still runs. Folders of dead processes are removed at the next
//! start.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const PREFIX: &str = "mqlake-sql-";
const LOCK: &str = "lock";

/// A folder that is removed when the value is dropped.
#[derive(Debug)]
pub(super) struct SpillFolder {
    path: PathBuf,
    _lock: File,
}

impl SpillFolder {
    /// A new folder below `base`, or below the system's folder for temporary files.
    pub(super) fn create(base: Option<&Path>) -> Result<SpillFolder> {
        let base = base.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let failed = |error: std::io::Error| {
            Error::Config(format!("sql.spill_dir: {} cannot be used: {error}", base.display()))
        };
        std::fs::create_dir_all(&base).map_err(failed)?;
        let base = base.canonicalize().map_err(failed)?;
        remove_dead(&base);
        let path = base.join(format!("{PREFIX}{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).map_err(failed)?;
        let lock = File::create(path.join(LOCK)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(SpillFolder { path, _lock: lock })
    }

    /// The folder of a worker. The worker makes it, and it is removed after the worker ended.
    pub(super) fn of_worker(&self, number: u64) -> PathBuf {
        self.path.join(number.to_string())
    }

    /// Removes the folder with its content.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Drop for SpillFolder {
    fn drop(&mut self) {
        self.remove();
    }
}

fn remove_dead(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) && is_dead(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether the process that made a folder is gone. A folder without a lock file is just being made.
fn is_dead(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)).map(|lock| lock.try_lock()) {
        Ok(Ok(())) => true,
        Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_dead_processes_are_removed_and_others_stay() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join(format!("{PREFIX}dead"));
        std::fs::create_dir_all(dead.join("3")).unwrap();
        std::fs::write(dead.join(LOCK), "").unwrap();
        std::fs::write(dead.join("3/spilled"), "rows").unwrap();
        std::fs::create_dir(base.path().join("other")).unwrap();
        let first = SpillFolder::create(Some(base.path())).unwrap();
        let second = SpillFolder::create(Some(base.path())).unwrap();
        assert!(!dead.exists());
        assert!(first.path.exists() && second.path.exists());
        drop((first, second));
        let left: Vec<_> =
            std::fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["other"]);
    }
}
