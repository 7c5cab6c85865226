//! Who writes: one process per broker group, and what a killed one has left behind.
//!
//! **GLOB-ONCE**: a plain glob over `dt=*/*.parquet` meets no row twice. A settled file is visible to a glob as
//! soon as it is stored, a moment before its commit; a writer that is killed in between leaves it behind, and
//! its successor would store the same rows again. So every file name begins with its owner, and a writer
//! begins by deleting its own settled files that no commit names.

use std::collections::HashSet;
use std::fs::File;

use futures::TryStreamExt;
use md5::{Digest, Md5};
use object_store::{ObjectStore, ObjectStoreExt};

use super::file::LakeFile;
use super::scan::object_path;
use super::table::Table;
use super::{Lake, paths};
use crate::error::{Error, Result};

/// Age from which leftovers are deleted where no lock tells whether their writer still lives.
const UNLOCKED_AGE_MINUTES: i64 = 60;

/// The writer of a broker group, as it appears in file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(pub(super) String);

impl Owner {
    /// The writer of a broker group.
    #[must_use]
    pub fn of(system: &str, broker_group: &str) -> Owner {
        let digest = Md5::digest(format!("{system}/{broker_group}").as_bytes());
        Owner(digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Held while a broker group is written to; the operating system releases it however the process ends.
#[derive(Debug)]
pub struct WriterLock(Option<File>);

impl WriterLock {
    fn is_exclusive(&self) -> bool {
        self.0.is_some()
    }
}

impl Lake {
    /// Becomes the writer of a broker group and removes what a killed predecessor left behind.
    ///
    /// # Errors
    /// [`Error::Usage`] if another process on this machine is writing, [`Error::Store`].
    pub async fn become_writer(&self, owner: &Owner) -> Result<WriterLock> {
        let lock = match self.store.local_path(&paths::writer_lock(&owner.0)) {
            Some(path) => WriterLock(Some(lock_file(&path)?)),
            None => WriterLock(None),
        };
        for table in self.tables() {
            self.sweep(table, owner, &lock).await?;
        }
        Ok(lock)
    }

    async fn sweep(&self, table: &Table, owner: &Owner, lock: &WriterLock) -> Result<()> {
        let snapshot = table.refresh().await?;
        let named: HashSet<_> =
            snapshot.files.iter().map(|file| object_path(&table.folder, &file.path)).collect();
        let oldest_unlocked = chrono::Utc::now() - chrono::Duration::minutes(UNLOCKED_AGE_MINUTES);
        let objects: Vec<_> = self.store.objects.list(Some(&table.folder)).try_collect().await?;
        for object in objects {
            let is_mine = object.location.filename().is_some_and(|name| name.starts_with(&owner.0));
            // recent files are in no glob; those that were replaced stay for their readers
            let is_settled = object.location.parts().any(|part| part.as_ref().starts_with("dt="));
            let is_dead = lock.is_exclusive() || object.last_modified < oldest_unlocked;
            if is_mine && is_settled && is_dead && !named.contains(&object.location) {
                tracing::info!(file = %object.location, "removing what a killed writer left behind");
                self.store.objects.delete(&object.location).await?;
            }
        }
        Ok(())
    }

    /// Deletes files that were stored but not committed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn delete_files(&self, table: &Table, files: &[LakeFile]) -> Result<()> {
        for file in files {
            self.store.objects.delete(&object_path(&table.folder, &file.path)).await?;
        }
        Ok(())
    }
}

fn lock_file(path: &std::path::Path) -> Result<File> {
    let fail = |error: std::io::Error| Error::input(path, format!("the lock cannot be taken: {error}"));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Usage(
            "another process (an import, or a server that follows it) writes this broker group into the same data; wait for \
             it to end, or stop it"
                .to_owned(),
        )),
        Err(std::fs::TryLockError::Error(error)) => Err(fail(error)),
    }
}
