//! Merging sorted files of one day and table into right-sized ones, a batch of each in memory at a time.
//!
//! Files can be in the store or in memory only. Nothing here stores a file or commits anything.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::encode::{EncodedFile, FileEncoder};
use super::file::LakeFile;
use super::scan::{InMemory, Scan, ordering, store_url};
use super::schema::{MESSAGE_KEY, TableDef};
use super::table::Table;
use super::{Lake, sql_error};
use crate::error::Result;

/// Bytes at which a merged file ends and the next one begins.
const TARGET_BYTES: usize = 128 << 20;
/// Maximum rows of a merged batch.
const BATCH_ROWS: usize = 4096;
/// Upper estimate of the decoded bytes of a row without its body.
const ROW_BYTES: usize = 512;
/// As `ROW_BYTES`, for rows that can have an inline message as JSON.
const INLINE_ROW_BYTES: usize = 2048;

/// Files whose row ranges follow one another in the table's order: a merge reads one after the other.
pub type Run = Vec<Arc<LakeFile>>;

/// A running merge.
pub struct Merge<'a> {
    lake: &'a Lake,
    def: &'static TableDef,
    batches: SendableRecordBatchStream,
}

impl Lake {
    /// Starts merging runs of one table and day.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub fn merge(&self, table: &Table, runs: &[Run]) -> Result<Merge<'_>> {
        let def = table.def;
        let schema = def.file_schema();
        let columns: Vec<usize> = (0..def.columns.len()).collect();
        let is_hot = runs.iter().flatten().any(|file| file.bytes.is_some());
        let scan = Scan {
            def,
            folder: &table.folder,
            file_schema: schema.clone(),
            groups: runs.to_vec(),
            projection: Some(&columns),
            predicate: None,
            limit: None,
            ordered: true,
            readers: is_hot.then(|| Arc::new(MemoryReaders) as Arc<dyn ParquetFileReaderFactory>),
            options: Default::default(),
        };
        let mut plan = scan.plan()?;
        if let Some(order) = ordering(def, &schema) {
            plan = Arc::new(SortPreservingMergeExec::new(order, plan));
        }
        let batches = plan.execute(0, self.merge_context(def, runs)?).map_err(sql_error)?;
        Ok(Merge { lake: self, def, batches })
    }

    /// A context whose batches are small enough for rows with large bodies. It sets no memory limit, since a merge cannot
    /// spill: the runs and the batch size bound its memory.
    fn merge_context(&self, def: &TableDef, runs: &[Run]) -> Result<Arc<TaskContext>> {
        let memory = usize::try_from(self.settings.settle_memory.as_u64()).unwrap_or(usize::MAX);
        let widest = runs.iter().flatten().map(|file| widest_row(def, file)).max().unwrap_or(ROW_BYTES);
        // each run has up to four batches in memory, and so has the merged output
        let batch_rows = (memory / 2 / (4 * (runs.len() + 1)) / widest).clamp(1, BATCH_ROWS);
        let runtime = RuntimeEnvBuilder::new().build_arc().map_err(sql_error)?;
        runtime.register_object_store(store_url()?.as_ref(), self.store.objects.clone());
        let config = datafusion::prelude::SessionConfig::new().with_batch_size(batch_rows);
        Ok(Arc::new(TaskContext::default().with_session_config(config).with_runtime(runtime)))
    }
}

impl Merge<'_> {
    /// Merges everything; returns all merged files.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn all(mut self) -> Result<Vec<EncodedFile>> {
        let mut merged = Vec::new();
        while let Some(file) = self.next().await? {
            merged.push(file);
        }
        Ok(merged)
    }

    /// The next merged file, or `None` when all rows are written.
    ///
    /// # Errors
    /// [`crate::error::Error::Store`].
    pub async fn next(&mut self) -> Result<Option<EncodedFile>> {
        let mut encoder: Option<FileEncoder> = None;
        while let Some(batch) = self.batches.try_next().await.map_err(sql_error)? {
            let mut current = match encoder.take() {
                Some(current) => current,
                None => FileEncoder::new(self.def, &self.lake.settings)?,
            };
            current.write(&batch)?;
            if current.encoded_bytes() >= TARGET_BYTES {
                return Ok(Some(current.finish()?));
            }
            encoder = Some(current);
        }
        encoder.map(FileEncoder::finish).transpose()
    }
}

/// Upper estimate of the decoded bytes of the widest row of a file.
pub(super) fn widest_row(def: &TableDef, file: &LakeFile) -> usize {
    let body = file.stats.number_range("body_size").map_or(0, |(_, widest)| widest);
    let row = if def.name == MESSAGE_KEY.name { INLINE_ROW_BYTES } else { ROW_BYTES };
    row + usize::try_from(body).unwrap_or(0)
}

/// Makes readers of files that are in memory only.
#[derive(Debug)]
struct MemoryReaders;

impl ParquetFileReaderFactory for MemoryReaders {
    fn create_reader(
        &self,
        _partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let bytes = file.extension::<InMemory>().map(|in_memory| in_memory.0.clone()).unwrap_or_default();
        Ok(Box::new(MemoryReader(bytes)))
    }
}

struct MemoryReader(Bytes);

impl AsyncFileReader for MemoryReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let slice = in_memory(&self.0, &range);
        async move { slice }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let bytes = self.0.clone();
        async move {
            let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
            reader.parse_and_finish(&bytes).map(Arc::new)
        }
        .boxed()
    }
}

/// A range of a file in memory, without a copy.
///
/// # Errors
/// If the range reaches beyond the file.
pub fn in_memory(bytes: &Bytes, range: &Range<u64>) -> Result<Bytes, ParquetError> {
    let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    match bounds {
        Some((start, end)) if start <= end && end <= bytes.len() => Ok(bytes.slice(start..end)),
        _ => Err(ParquetError::EOF(format!("{range:?} of {} bytes in memory", bytes.len()))),
    }
}
