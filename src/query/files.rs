//! Reading data files with their footers, page indexes and bloom filters kept in memory.
//!
//! Data files are immutable and never reuse a name, so a cached entry never becomes stale. The caches are bounded in
//! bytes, and shared by lookups and DataFusion's scans. Hot files, whose rows are not committed yet, are read from
//! memory by the same code.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use moka::future::Cache as MokaCache;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::page_cache::LocalFiles;
use super::runs::FileRuns;
use crate::config;
use crate::error::{Error, Result};
use crate::lake::scan::{InMemory, object_path};
use crate::lake::{LakeFile, Store, in_memory};

/// How full reading ahead may make a cache, in tenths of its capacity. The rest is for what requests read.
const WARM_TENTHS: u64 = 8;
/// Bytes read from the end of a file, so that its footer usually comes with one request.
const FOOTER_HINT_BYTES: usize = 64 * 1024;

/// Footer and page index of a file, parsed.
#[derive(Clone)]
pub(super) struct FileIndex {
    /// Footer and page index.
    pub(super) parquet: Arc<ParquetMetaData>,
    /// The same, in the form that the Arrow reader takes.
    pub(super) arrow: ArrowReaderMetadata,
}

/// Reads files and caches their indexes.
#[derive(Clone)]
pub struct FileCache {
    objects: Arc<dyn ObjectStore>,
    /// The files of a store on local disk.
    local: Option<LocalFiles>,
    indexes: MokaCache<Path, FileIndex>,
    blooms: MokaCache<(Path, usize, usize), Option<Arc<Sbbf>>>,
    pub(super) runs: MokaCache<Path, Arc<FileRuns>>,
    limits: Arc<LookupLimits>,
}

/// Limits of one lookup.
#[derive(Debug)]
struct LookupLimits {
    rows: AtomicUsize,
    bytes: AtomicUsize,
}

impl fmt::Debug for FileCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCache").field("indexes", &self.indexes.entry_count()).finish_non_exhaustive()
    }
}

impl FileCache {
    /// A cache over a store.
    #[must_use]
    pub fn new(store: &Store, settings: &config::Cache) -> FileCache {
        let weight = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        FileCache {
            objects: store.objects.clone(),
            local: store.local_base().map(LocalFiles::new),
            indexes: MokaCache::builder()
                .max_capacity(settings.metadata.as_u64())
                .weigher(move |_, index: &FileIndex| weight(index.parquet.memory_size()))
                .build(),
            runs: MokaCache::builder()
                .max_capacity(settings.runs.as_u64())
                .weigher(move |_, runs: &Arc<FileRuns>| weight(64 + runs.heap_bytes()))
                .build(),
            limits: Arc::new(LookupLimits {
                rows: AtomicUsize::new(usize::MAX),
                bytes: AtomicUsize::new(usize::MAX),
            }),
            blooms: MokaCache::builder()
                .max_capacity(settings.bloom.as_u64())
                .weigher(move |_, bloom: &Option<Arc<Sbbf>>| {
                    weight(64 + bloom.as_ref().map_or(0, |bloom| bloom.num_blocks() * 32))
                })
                .build(),
        }
    }

    /// The store that files are read from.
    pub(super) fn store(&self) -> Arc<dyn ObjectStore> {
        self.objects.clone()
    }

    /// Limits what one lookup may find, in rows and in bytes. Without this call there is no limit.
    pub(crate) fn bound(&self, rows: usize, bytes: usize) {
        self.limits.rows.store(rows, Ordering::Relaxed);
        self.limits.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Maximum rows that one lookup may find.
    pub(super) fn max_rows(&self) -> usize {
        self.limits.rows.load(Ordering::Relaxed)
    }

    /// Maximum bytes of the rows that one lookup may find.
    pub(super) fn max_bytes(&self) -> usize {
        self.limits.bytes.load(Ordering::Relaxed)
    }

    /// Bytes in memory, by cache.
    #[must_use]
    pub fn bytes(&self) -> [(&'static str, u64); 3] {
        [
            ("metadata", self.indexes.weighted_size()),
            ("bloom", self.blooms.weighted_size()),
            ("runs", self.runs.weighted_size()),
        ]
    }

    /// Footer and page index of a file.
    async fn load(&self, reader: &CachedReader) -> Result<FileIndex, Arc<ParquetError>> {
        let mut source = reader.clone();
        let size = reader.size;
        self.indexes
            .try_get_with_by_ref(&reader.path, async move {
                let is_hot = source.bytes.is_some();
                let read = async move {
                    let parquet = ParquetMetaDataReader::new()
                        .with_page_index_policy(PageIndexPolicy::Optional)
                        .with_prefetch_hint(Some(FOOTER_HINT_BYTES))
                        .load_and_finish(&mut source, size)
                        .await?;
                    let parquet = Arc::new(parquet);
                    let arrow = ArrowReaderMetadata::try_new(parquet.clone(), ArrowReaderOptions::new())?;
                    Ok(FileIndex { parquet, arrow })
                };
                if is_hot {
                    return read.await;
                }
                // an index can have megabytes, and parsing it would hold up other requests
                let read = off_the_request_threads(read).await;
                read.map_err(|error| ParquetError::External(Box::new(error)))?
            })
            .await
    }

    /// Evicts a file that no snapshot contains any more.
    pub(super) async fn forget(&self, path: &Path) {
        self.indexes.invalidate(path).await;
        self.runs.invalidate(path).await;
        if let Some(local) = &self.local {
            local.forget(path).await;
        }
    }

    /// Whether reading ahead may add more indexes and runs.
    pub(super) async fn has_room(&self) -> bool {
        self.indexes.run_pending_tasks().await;
        self.runs.run_pending_tasks().await;
        let has_room = |used: u64, max: Option<u64>| max.is_none_or(|max| used < max / 10 * WARM_TENTHS);
        has_room(self.indexes.weighted_size(), self.indexes.policy().max_capacity())
            && has_room(self.runs.weighted_size(), self.runs.policy().max_capacity())
    }

    /// Whether a text may occur in a column of a row group, by its bloom filter.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn may_contain(
        &self,
        reader: CachedReader,
        index: &FileIndex,
        row_group: usize,
        column: usize,
        text: &str,
    ) -> Result<bool> {
        if reader.bytes.is_some() {
            // a hot file is small and short-lived: reading its pages costs no more than its filter
            return Ok(true);
        }
        let key = (reader.path.clone(), row_group, column);
        let path = reader.path.clone();
        let arrow = index.arrow.clone();
        let bloom = self
            .blooms
            .try_get_with(key, async move {
                let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, arrow);
                let bloom = builder.get_row_group_column_bloom_filter(row_group, column).await?;
                Ok::<_, ParquetError>(bloom.map(Arc::new))
            })
            .await
            .map_err(|error| Error::store(format!("reading a bloom filter of {path}"), error))?;
        Ok(bloom.is_none_or(|bloom| bloom.check(text)))
    }

    /// A reader of one file.
    pub(super) fn reader(&self, folder: &Path, file: &LakeFile) -> CachedReader {
        CachedReader {
            cache: self.clone(),
            path: object_path(folder, &file.path),
            size: file.size,
            bytes: file.bytes.clone(),
        }
    }
}

/// Permits for tasks that block a thread of the pool. Each task may wait for a read of a local file, which needs
/// another thread of the same pool, so the tasks must never occupy all of them.
static BLOCKING_TASKS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(16);

/// Runs CPU-bound work on a thread that answers no requests. Calls must not be nested.
///
/// # Errors
/// [`Error::Invariant`] if the work panics.
pub(super) async fn off_the_request_threads<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let runtime = tokio::runtime::Handle::current();
    let permit = BLOCKING_TASKS.acquire().await;
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work)).await?;
    drop(permit);
    Ok(done)
}

/// A reader of one file through the cache.
#[derive(Debug, Clone)]
pub(super) struct CachedReader {
    cache: FileCache,
    /// Path inside the store.
    pub(super) path: Path,
    size: u64,
    /// The content of a hot file, which is in memory only.
    pub(super) bytes: Option<Bytes>,
}

impl CachedReader {
    /// Footer and page index.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn index(&self) -> Result<FileIndex> {
        let index = self.cache.load(self).await;
        index.map_err(|error| Error::store(format!("reading the footer of {}", self.path), error))
    }
}

impl AsyncFileReader for CachedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move {
            let parts = self.get_byte_ranges(vec![range]).await?;
            parts.into_iter().next().ok_or_else(|| ParquetError::General("nothing was read".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            if let Some(bytes) = &self.bytes {
                return ranges.iter().map(|range| in_memory(bytes, range)).collect();
            }
            if let Some(local) = &self.cache.local
                && let Some(parts) = local.read(&self.path, &ranges).await
            {
                return Ok(parts);
            }
            Ok(self.cache.objects.get_ranges(&self.path, &ranges).await?)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let index = self.cache.load(self).await;
            index.map(|index| index.parquet).map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }
}

impl ParquetFileReaderFactory for FileCache {
    fn create_reader(
        &self,
        _partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        Ok(Box::new(CachedReader {
            cache: self.clone(),
            size: file.object_meta.size,
            bytes: file.extension::<InMemory>().map(|in_memory| in_memory.0.clone()),
            path: file.object_meta.location,
        }))
    }
}
