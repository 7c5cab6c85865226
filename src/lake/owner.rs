//! Writers: one process per broker group, and the files that a killed one leaves behind.
//!
//! **GLOB-ONCE**: a plain glob over `dt=*/*.parquet` meets no row twice. A settled file is visible to a glob as
//! soon as it is stored, before the commit that names it. A writer that is killed in between leaves it behind, and
//! its successor would store the same rows again. So every file name begins with its owner, and a writer
//! begins by deleting its own settled files that no commit has ever named ([`super::sweep`]).

use std::fs::File;

use md5::{Digest, Md5};

use super::{Lake, paths};
use crate::durable;
use crate::error::{Error, Result};

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

/// Held while a broker group is written to. The operating system releases it however the process ends.
#[derive(Debug)]
pub struct WriterLock(Option<File>);

impl WriterLock {
    pub(super) fn is_exclusive(&self) -> bool {
        self.0.is_some()
    }
}

impl Lake {
    /// Becomes the writer of a broker group and removes what a killed predecessor left behind.
    ///
    /// # Errors
    /// [`Error::Usage`] if another process on this machine is writing, [`Error::Store`], [`Error::Config`] if the store
    /// has no conditional writes.
    pub async fn become_writer(&self, owner: &Owner) -> Result<WriterLock> {
        self.store.check_refuses_taken_names().await?;
        let lock = match self.store.local_path(&paths::writer_lock(&owner.0)) {
            Some(path) => WriterLock(Some(tokio::task::spawn_blocking(move || lock_file(&path)).await??)),
            None => WriterLock(None),
        };
        for table in self.tables() {
            self.sweep(table, owner, &lock).await?;
        }
        Ok(lock)
    }
}

fn lock_file(path: &std::path::Path) -> Result<File> {
    let fail = |error: std::io::Error| Error::input(path, format!("the lock cannot be taken: {error}"));
    if let Some(folder) = path.parent() {
        durable::make_folder(folder).map_err(fail)?;
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
