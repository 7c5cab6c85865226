//! Settling: the recent files of a closed day become right-sized settled files, with the same rows.
//!
//! A day is closed `lake.settle_after` after its end. Settled files are never touched again; rows that
//! come later for the same day become further settled files. Files are merged in their order, a batch of
//! each in memory at a time, so that a day of any size fits into
//! `lake.settle_memory`.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use futures::TryStreamExt;

use super::encode::{FileEncoder, MAX_ROW_GROUP_BYTES};
use super::file::LakeFile;
use super::paths::Level;
use super::scan::{Scan, ordering, store_url};
use super::table::{Outcome, Table};
use super::{Lake, Owner, sql_error};
use crate::error::Result;

/// Most files merged in one step.
const FILES_PER_MERGE: usize = 64;
/// Bytes after which a settled file is ended and the next one begun.
const TARGET_BYTES: usize = 128 << 20;
/// Most rows of a merged batch.
const BATCH_ROWS: usize = 4096;
/// Decoded bytes of a row besides its body, generously.
const ROW_BYTES: usize = 512;

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
    /// Settles every closed day of every table.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`]. A day that another process settles at the same time is left to it.
    pub async fn settle(&self, now: DateTime<Utc>, owner: &Owner) -> Result<Settled> {
        let mut total = Settled::default();
        for table in self.tables() {
            let snapshot = table.refresh().await?;
            let mut days: BTreeMap<NaiveDate, Vec<Arc<LakeFile>>> = BTreeMap::new();
            for file in snapshot.files {
                if file.level == Level::Recent && self.is_closed(file.day, now) {
                    days.entry(file.day).or_default().push(file);
                }
            }
            for (day, mut files) in days {
                files.sort_by(|a, b| a.path.cmp(&b.path));
                for files in self.steps(&files) {
                    let merged = self.merge(table, day, files, owner).await?;
                    let attempts = self.settings.commit_attempts;
                    if table.replace(files, &merged, attempts).await? == Outcome::Committed {
                        total.files_before += files.len();
                        total.files_after += merged.len();
                    } else {
                        // another process has settled them; a plain glob must not meet these rows twice
                        self.delete_files(table, &merged).await?;
                    }
                }
                total.days += 1;
            }
        }
        Ok(total)
    }

    /// Splits files into steps that fit into `lake.settle_memory`: a row group of each file is in memory,
    /// compressed, and a batch of each, decoded.
    fn steps<'a>(&self, files: &'a [Arc<LakeFile>]) -> Vec<&'a [Arc<LakeFile>]> {
        let memory = self.settings.settle_memory.as_u64();
        let mut steps = Vec::new();
        let mut left = files;
        while !left.is_empty() {
            let mut bytes = 0;
            let fitting = left.iter().take(FILES_PER_MERGE).take_while(|file| {
                bytes += file.size.min(MAX_ROW_GROUP_BYTES as u64) + widest_row(file) as u64;
                bytes <= memory / 2
            });
            let (step, rest) = left.split_at(fitting.count().max(1));
            steps.push(step);
            left = rest;
        }
        steps
    }

    fn is_closed(&self, day: NaiveDate, now: DateTime<Utc>) -> bool {
        let end = day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(NaiveTime::MIN).and_utc();
        let after = chrono::Duration::from_std(self.settings.settle_after).unwrap_or_default();
        end + after <= now
    }

    async fn merge(
        &self,
        table: &Table,
        day: NaiveDate,
        files: &[Arc<LakeFile>],
        owner: &Owner,
    ) -> Result<Vec<LakeFile>> {
        let def = table.def;
        let schema = def.file_schema();
        let columns: Vec<usize> = (0..def.columns.len()).collect();
        let scan = Scan {
            def,
            folder: &table.folder,
            file_schema: schema.clone(),
            groups: files.iter().map(|file| vec![file.clone()]).collect(),
            projection: Some(&columns),
            predicate: None,
            limit: None,
            ordered: true,
            readers: None,
            options: Default::default(),
        };
        let mut plan = scan.plan()?;
        if let Some(order) = ordering(def, &schema) {
            plan = Arc::new(SortPreservingMergeExec::new(order, plan));
        }
        let mut batches = plan.execute(0, self.merge_context(files)?).map_err(sql_error)?;
        let mut merged = Vec::new();
        let mut encoder: Option<FileEncoder> = None;
        while let Some(batch) = batches.try_next().await.map_err(sql_error)? {
            let mut current = match encoder.take() {
                Some(current) => current,
                None => FileEncoder::new(def, &self.settings)?,
            };
            current.write(&batch)?;
            if current.encoded_bytes() >= TARGET_BYTES {
                merged.push(self.store_file(table, day, Level::Settled, owner, current.finish()?).await?);
            } else {
                encoder = Some(current);
            }
        }
        if let Some(last) = encoder {
            merged.push(self.store_file(table, day, Level::Settled, owner, last.finish()?).await?);
        }
        Ok(merged)
    }

    /// A context whose batches are small enough for rows with large bodies. It has no memory limit of its own:
    /// a merge cannot spill, so its memory is bounded by what it is given.
    fn merge_context(&self, files: &[Arc<LakeFile>]) -> Result<Arc<TaskContext>> {
        let memory = usize::try_from(self.settings.settle_memory.as_u64()).unwrap_or(usize::MAX);
        let widest = files.iter().map(|file| widest_row(file)).max().unwrap_or(ROW_BYTES);
        // each file has a few batches on the way, the merge one more
        let batch_rows = (memory / 2 / (4 * (files.len() + 1)) / widest).clamp(1, BATCH_ROWS);
        let runtime = RuntimeEnvBuilder::new().build_arc().map_err(sql_error)?;
        runtime.register_object_store(store_url()?.as_ref(), self.store.objects.clone());
        let config = datafusion::prelude::SessionConfig::new().with_batch_size(batch_rows);
        Ok(Arc::new(TaskContext::default().with_session_config(config).with_runtime(runtime)))
    }
}

/// Bytes of the widest row of a file, decoded.
fn widest_row(file: &LakeFile) -> usize {
    let body = file.stats.number_range("body_size").map_or(0, |(_, widest)| widest);
    ROW_BYTES + usize::try_from(body).unwrap_or(0)
}
