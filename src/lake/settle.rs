//! Settling: the recent files of a closed day become right-sized settled files, with the same rows.
//!
//! A day is closed `lake.settle_after` after its end. Settled files are never touched again; rows that
//! come later for the same day become further settled files. Files are merged in their order, a batch of
//! each in memory at a time, so that a day of any size fits into
//! `lake.settle_memory`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

use super::encode::{MAX_ROW_GROUP_BYTES, row_group_rows};
use super::file::{LakeFile, MergeKey};
use super::merge::widest_row;
use super::paths::Level;
use super::schema::TableDef;
use super::table::Outcome;
use super::{Lake, Owner};
use crate::error::Result;

/// Most files merged in one step.
const FILES_PER_MERGE: usize = 64;

/// What a settling did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Days settled, over all tables.
    pub days: usize,
    /// Recent files replaced.
    pub files_before: usize,
    /// Settled files written.
    pub files_after: usize,
}

impl Lake {
    /// Bytes of the recent files of closed days.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn bytes_to_settle(&self, now: DateTime<Utc>) -> Result<u64> {
        let mut bytes = 0;
        for table in self.tables() {
            let files = table.refresh().await?.files;
            let recent =
                files.iter().filter(|file| file.level == Level::Recent && self.is_closed(file.day, now));
            bytes += recent.map(|file| file.size).sum::<u64>();
        }
        Ok(bytes)
    }

    /// Settles every closed day of every table.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`]. A day that another process settles at the same time is left to it.
    pub async fn settle(&self, now: DateTime<Utc>, owner: &Owner) -> Result<Settled> {
        self.settle_with(now, owner, &|_| {}).await
    }

    /// As [`Lake::settle`]; tells the bytes of files that are done.
    ///
    /// # Errors
    /// As [`Lake::settle`].
    pub async fn settle_with(
        &self,
        now: DateTime<Utc>,
        owner: &Owner,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Settled> {
        let mut total = Settled::default();
        for table in self.tables() {
            let snapshot = table.refresh().await?;
            let mut days: BTreeMap<MergeKey, Vec<Arc<LakeFile>>> = BTreeMap::new();
            for file in snapshot.files {
                if file.level == Level::Recent && self.is_closed(file.day, now) {
                    days.entry(file.merge_key(table.def)).or_default().push(file);
                }
            }
            total.days += days.keys().map(|key| key.day).collect::<BTreeSet<_>>().len();
            for (key, mut files) in days {
                files.sort_by(|a, b| a.path.cmp(&b.path));
                for files in self.steps(table.def, &files) {
                    let mut merge = self.merge(table, files)?;
                    let mut merged = Vec::new();
                    while let Some(file) = merge.next().await? {
                        merged.push(self.store_file(table, key.day, Level::Settled, owner, file).await?);
                    }
                    let attempts = self.settings.commit_attempts;
                    if table.replace(files, &merged, attempts).await? == Outcome::Committed {
                        total.files_before += files.len();
                        total.files_after += merged.len();
                    } else {
                        // another process has settled them, or storing took too long and the next turn tries again; a
                        // plain glob must not meet these rows twice
                        self.delete_files(table, &merged).await?;
                    }
                    done(files.iter().map(|file| file.size).sum());
                }
            }
        }
        Ok(total)
    }

    /// Splits files into steps that fit into `lake.settle_memory`: a row group of each file is in memory,
    /// compressed, and a batch of each, decoded.
    pub(super) fn steps<'a>(&self, def: &TableDef, files: &'a [Arc<LakeFile>]) -> Vec<&'a [Arc<LakeFile>]> {
        let memory = self.settings.settle_memory.as_u64();
        let mut steps = Vec::new();
        let mut left = files;
        while !left.is_empty() {
            let mut bytes = 0;
            let fitting = left.iter().take(FILES_PER_MERGE).take_while(|file| {
                bytes += self.row_group_bytes(def, file) + widest_row(def, file) as u64;
                bytes <= memory / 2
            });
            let (step, rest) = left.split_at(fitting.count().max(1));
            steps.push(step);
            left = rest;
        }
        steps
    }

    /// Bytes of a row group of a file, compressed.
    fn row_group_bytes(&self, def: &TableDef, file: &LakeFile) -> u64 {
        let row_groups = file.stats.rows.div_ceil(row_group_rows(def, &self.settings) as u64).max(1);
        file.size.div_ceil(row_groups).min(MAX_ROW_GROUP_BYTES as u64)
    }

    pub(super) fn is_closed(&self, day: NaiveDate, now: DateTime<Utc>) -> bool {
        let end = day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(NaiveTime::MIN).and_utc();
        let after = chrono::Duration::from_std(self.settings.settle_after).unwrap_or_default();
        end + after <= now
    }
}
