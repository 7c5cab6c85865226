//! Settling: the recent files of a closed day become right-sized settled files, with the same rows.
//!
//! A day is closed `lake.settle_after` after its end. Settled files are never touched again; rows that
//! come later for the same day become further settled files. Files are merged in their order, a batch of
//! each in memory at a time, so that a day of any size fits.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use futures::TryStreamExt;

use super::encode::FileEncoder;
use super::file::LakeFile;
use super::paths::Level;
use super::scan::{Scan, ordering, store_url};
use super::table::{Outcome, Table};
use super::{Lake, sql_error};
use crate::error::Result;

/// Files merged in one step: what bounds the memory of a merge.
const FILES_PER_MERGE: usize = 64;
/// Bytes after which a settled file is ended and the next one begun.
const TARGET_BYTES: usize = 128 << 20;
/// Rows of a merged batch.
const BATCH_ROWS: usize = 4096;

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
    pub async fn settle(&self, now: DateTime<Utc>) -> Result<Settled> {
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
                for files in files.chunks(FILES_PER_MERGE) {
                    let merged = self.merge(table, day, files).await?;
                    let attempts = self.settings.commit_attempts;
                    if table.replace(files, &merged, attempts).await? == Outcome::Committed {
                        total.files_before += files.len();
                        total.files_after += merged.len();
                    }
                }
                total.days += 1;
            }
        }
        Ok(total)
    }

    fn is_closed(&self, day: NaiveDate, now: DateTime<Utc>) -> bool {
        let end = day.checked_add_days(Days::new(1)).unwrap_or(day).and_time(NaiveTime::MIN).and_utc();
        let after = chrono::Duration::from_std(self.settings.settle_after).unwrap_or_default();
        end + after <= now
    }

    async fn merge(&self, table: &Table, day: NaiveDate, files: &[Arc<LakeFile>]) -> Result<Vec<LakeFile>> {
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
        let mut batches = plan.execute(0, self.merge_context()?).map_err(sql_error)?;
        let mut merged = Vec::new();
        let mut encoder: Option<FileEncoder> = None;
        while let Some(batch) = batches.try_next().await.map_err(sql_error)? {
            let mut current = match encoder.take() {
                Some(current) => current,
                None => FileEncoder::new(def, &self.settings)?,
            };
            current.write(&batch)?;
            if current.encoded_bytes() >= TARGET_BYTES {
                merged.push(self.store_file(table, day, Level::Settled, current.finish()?).await?);
            } else {
                encoder = Some(current);
            }
        }
        if let Some(last) = encoder {
            merged.push(self.store_file(table, day, Level::Settled, last.finish()?).await?);
        }
        Ok(merged)
    }

    fn merge_context(&self) -> Result<Arc<TaskContext>> {
        let memory = usize::try_from(self.settings.settle_memory.as_u64()).unwrap_or(usize::MAX);
        let runtime =
            RuntimeEnvBuilder::new().with_memory_limit(memory, 1.0).build_arc().map_err(sql_error)?;
        runtime.register_object_store(store_url()?.as_ref(), self.store.objects.clone());
        let config = datafusion::prelude::SessionConfig::new().with_batch_size(BATCH_ROWS);
        Ok(Arc::new(TaskContext::default().with_session_config(config).with_runtime(runtime)))
    }
}
