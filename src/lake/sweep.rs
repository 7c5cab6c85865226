//! Deletes files that a killed writer left behind, and files that no reader needs any more.
//!
//! A file that a later commit removed from the table stays for `lake.grace_period`, for readers that still use it. A file
//! that no commit names was left behind by a crash, or belongs to a commit that is under way. By FRESH (`table.rs`) no
//! commit can name it any more once it is older than `lake.leftover_age`. Nothing here holds a lock: files are listed
//! first and judged by a newer version of the log.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::Lake;
use super::file::LakeFile;
use super::owner::{Owner, WriterLock};
use super::scan::object_path;
use super::table::{Named, Table};
use crate::error::{Error, Result};

impl Lake {
    /// Deletes the settled files of a writer that no commit has ever named. Recent files match no user's glob, so they
    /// are left to [`Lake::vacuum`].
    pub(super) async fn sweep(&self, table: &Table, owner: &Owner, lock: &WriterLock) -> Result<()> {
        let mine = self.data_files(table).await?.into_iter().filter(|object| {
            let is_mine = object.location.filename().is_some_and(|name| name.starts_with(&owner.0));
            is_mine && object.location.parts().any(|part| part.as_ref().starts_with("dt="))
        });
        let mine: Vec<ObjectMeta> = mine.collect();
        if mine.is_empty() {
            return Ok(());
        }
        let named = table.named().await?;
        // without an exclusive lock the writer may still be running, so only the file's age can prove that it is not
        let age = if lock.is_exclusive() { None } else { Some(self.settings.leftover_age) };
        for object in mine {
            let is_dead = age.is_none_or(|age| self.is_older(object.last_modified, age));
            if is_dead && named.never_had(table, &object.location) {
                tracing::info!(file = %object.location, "removing what a killed writer left behind");
                self.delete(&object.location).await?;
            }
        }
        Ok(())
    }

    /// Deletes files that no commit names, or that a commit removed longer ago than the grace period.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn vacuum(&self) -> Result<usize> {
        let mut deleted = 0;
        for table in self.tables() {
            let objects = self.data_files(table).await?;
            let named = table.named().await?;
            for object in objects {
                if self.is_unneeded(table, &named, &object) {
                    self.delete(&object.location).await?;
                    deleted += 1;
                }
            }
        }
        Ok(deleted)
    }

    fn is_unneeded(&self, table: &Table, named: &Named, object: &ObjectMeta) -> bool {
        let Some(path) = relative(table, &object.location) else { return false };
        if named.live.contains(&path) {
            return false;
        }
        match named.removed.get(&path) {
            Some(Some(removed)) => self.is_older(*removed, self.settings.grace_period),
            _ => {
                let age = self.settings.grace_period.max(self.settings.leftover_age);
                self.is_older(object.last_modified, age)
            }
        }
    }

    fn is_older(&self, moment: DateTime<Utc>, age: Duration) -> bool {
        let age = chrono::Duration::from_std(age).unwrap_or(chrono::Duration::MAX);
        self.store.now().signed_duration_since(moment) >= age
    }

    async fn data_files(&self, table: &Table) -> Result<Vec<ObjectMeta>> {
        let listed = self.store.objects.list(Some(&table.folder));
        let data = listed.try_filter(|object| {
            let is_data = object.location.as_ref().ends_with(".parquet")
                && !object.location.parts().any(|part| part.as_ref() == "_delta_log");
            std::future::ready(is_data)
        });
        data.try_collect().await.map_err(|error| Error::store(format!("listing {}", table.folder), error))
    }

    /// Deletes files that were stored but not committed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn delete_files(&self, table: &Table, files: &[LakeFile]) -> Result<()> {
        for file in files {
            self.delete(&object_path(&table.folder, &file.path)).await?;
        }
        Ok(())
    }

    async fn delete(&self, path: &Path) -> Result<()> {
        match self.store.objects.delete(path).await {
            // another process deleted it first
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::store(format!("deleting {path}"), error)),
        }
    }
}

impl Named {
    fn never_had(&self, table: &Table, location: &Path) -> bool {
        relative(table, location)
            .is_some_and(|path| !self.live.contains(&path) && !self.removed.contains_key(&path))
    }
}

/// Path of a data file relative to its table.
fn relative(table: &Table, location: &Path) -> Option<String> {
    let parts = location.prefix_match(&table.folder)?;
    Some(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
}
