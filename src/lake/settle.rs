//! Settling: the recent files of a closed day become right-sized settled files, with the same rows.
//!
//! A day is closed `lake.settle_after` after its end. Settled files are never rewritten; rows that
//! come later for the same day become further settled files. A merge keeps one row group and one batch of each file in
//! memory, so that a day of any size fits into `lake.settle_memory`.
//!
//! A day with more files than fit is merged in steps. In tables that are merged by day the results of the steps are
//! merged again, until each value of the order lies in one place (ONE-RUN).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

use super::encode::{MAX_ROW_GROUP_BYTES, row_group_rows};
use super::file::{LakeFile, MergeKey};
use super::merge::{Run, widest_row};
use super::paths::Level;
use super::schema::TableDef;
use super::table::{Outcome, Table};
use super::{Lake, Owner};
use crate::error::Result;

/// Maximum runs merged in one step.
const RUNS_PER_MERGE: usize = 64;

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
    /// [`crate::error::Error::Store`]. If another process settled the same day first, its files stand.
    pub async fn settle(&self, now: DateTime<Utc>, owner: &Owner) -> Result<Settled> {
        self.settle_with(now, owner, &|_| {}).await
    }

    /// As [`Lake::settle`]; `done` receives the bytes of files as they are merged.
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
                let settled = self.settle_day(table, key.day, files, owner, done).await?;
                total.files_before += settled.files_before;
                total.files_after += settled.files_after;
            }
        }
        Ok(total)
    }

    async fn settle_day(
        &self,
        table: &Table,
        day: NaiveDate,
        files: Vec<Arc<LakeFile>>,
        owner: &Owner,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Settled> {
        let mut settled = Settled { files_before: files.len(), ..Settled::default() };
        let mut runs: Vec<Run> = files.into_iter().map(|file| vec![file]).collect();
        let mut is_first = true;
        loop {
            let steps = self.steps(table.def, &runs);
            let is_last = !table.def.is_merged_by_day
                || steps.len() == 1
                // rows are so wide that hardly two files fit into a step: merging again would hardly reduce the runs
                || steps.len() * 2 > runs.len();
            let level = if is_last { Level::Settled } else { Level::Recent };
            let mut merged_runs = Vec::new();
            for step in steps {
                let bytes = step.iter().flatten().map(|file| file.size).sum();
                match step {
                    [alone] if !is_last => merged_runs.push(alone.clone()),
                    _ => match self.replace_by_merged(table, day, step, level, owner).await? {
                        Some(merged) => merged_runs.push(merged),
                        // another process has settled them, or storing took too long: the next cycle tries again
                        None if is_last => {
                            let left = step.iter().map(Vec::len).sum();
                            settled.files_before = settled.files_before.saturating_sub(left);
                        }
                        None => return Ok(Settled::default()),
                    },
                }
                if is_first {
                    done(bytes);
                }
            }
            if is_last {
                settled.files_after = merged_runs.iter().map(Vec::len).sum();
                return Ok(settled);
            }
            (runs, is_first) = (merged_runs, false);
        }
    }

    /// Merges runs into one and commits it in their place. `None` if nothing was committed, because one of their files
    /// is no longer in the table or storing took too long.
    async fn replace_by_merged(
        &self,
        table: &Table,
        day: NaiveDate,
        runs: &[Run],
        level: Level,
        owner: &Owner,
    ) -> Result<Option<Run>> {
        let mut merge = self.merge(table, runs)?;
        let mut merged = Vec::new();
        while let Some(file) = merge.next().await? {
            merged.push(self.store_file(table, day, level, owner, file).await?);
        }
        let files: Vec<Arc<LakeFile>> = runs.iter().flatten().cloned().collect();
        if table.replace(&files, &merged, self.settings.commit_attempts).await? == Outcome::Committed {
            return Ok(Some(merged.into_iter().map(Arc::new).collect()));
        }
        // a plain glob must not meet these rows twice
        self.delete_files(table, &merged).await?;
        Ok(None)
    }

    /// Splits runs into steps that fit into `lake.settle_memory`: each run has a compressed row group and a decoded
    /// batch in memory.
    pub(super) fn steps<'a>(&self, def: &TableDef, runs: &'a [Run]) -> Vec<&'a [Run]> {
        let memory = self.settings.settle_memory.as_u64();
        let in_memory = |file: &Arc<LakeFile>| self.row_group_bytes(def, file) + widest_row(def, file) as u64;
        let mut steps = Vec::new();
        let mut left = runs;
        while !left.is_empty() {
            let mut bytes = 0;
            let fitting = left.iter().take(RUNS_PER_MERGE).take_while(|run| {
                bytes += run.iter().map(in_memory).max().unwrap_or_default();
                bytes <= memory / 2
            });
            let (step, rest) = left.split_at(fitting.count().max(1));
            steps.push(step);
            left = rest;
        }
        steps
    }

    /// Estimated compressed bytes of a row group of a file.
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
