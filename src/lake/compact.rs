//! Compaction: many small recent files of an open day become fewer, with the same rows.
//!
//! Files are only merged with others of the same size class, so that a row is rewritten once per class and
//! not once per commit. Closed days are left to settling.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::file::{LakeFile, MergeKey};
use super::merge::Run;
use super::paths::Level;
use super::table::Outcome;
use super::{Lake, Owner};
use crate::error::Result;

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Recent files replaced, over all tables.
    pub files_before: usize,
    /// Files written for them.
    pub files_after: usize,
}

impl Lake {
    /// Merges recent files of open days where at least `least` of the same [`size_class`] have accumulated.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`]. If another process merged the same files first, its merge stands.
    pub async fn compact(&self, now: DateTime<Utc>, least: usize, owner: &Owner) -> Result<Compacted> {
        let mut total = Compacted::default();
        for table in self.tables() {
            let mut alike: BTreeMap<(MergeKey, u32), Vec<Arc<LakeFile>>> = BTreeMap::new();
            for file in table.refresh().await?.files {
                if file.level == Level::Recent && !self.is_closed(file.day, now) {
                    let class = (file.merge_key(table.def), size_class(file.stats.rows));
                    alike.entry(class).or_default().push(file);
                }
            }
            for ((key, _), mut files) in alike {
                if files.len() < least.max(2) {
                    continue;
                }
                files.sort_by(|a, b| a.path.cmp(&b.path));
                let runs: Vec<Run> = files.into_iter().map(|file| vec![file]).collect();
                for step in self.steps(table.def, &runs).into_iter().filter(|step| step.len() > 1) {
                    let mut merge = self.merge(table, step)?;
                    let mut merged = Vec::new();
                    while let Some(file) = merge.next().await? {
                        let level = self.level_for(table.def, file.stats.rows);
                        merged.push(self.store_file(table, key.day, level, owner, file).await?);
                    }
                    let files = step.concat();
                    if table.replace(&files, &merged, self.settings.commit_attempts).await?
                        == Outcome::Committed
                    {
                        total.files_before += files.len();
                        total.files_after += merged.len();
                    } else {
                        self.delete_files(table, &merged).await?;
                    }
                }
            }
        }
        Ok(total)
    }
}

/// Size class of a row count: two counts of one class differ by less than a factor of eight.
#[must_use]
pub fn size_class(rows: u64) -> u32 {
    rows.max(1).ilog2() / 3
}
