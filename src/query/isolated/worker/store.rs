//! The store from a worker's side: its own connection, except for files that only the server can read. It measures how
//! long statements wait here, to distinguish a store that does not answer from a statement that takes too long.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::pipe::ServerFiles;

/// Reads files, never writes.
pub(super) struct WorkerStore {
    own: Option<Arc<dyn ObjectStore>>,
    server: Arc<ServerFiles>,
    /// The runtime of reads. Tasks that a client of the store leaves behind must not count as tasks of a statement.
    reading: Handle,
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    reads: usize,
    since: Option<Instant>,
    total: Duration,
}

/// Counts a read as waited for until it is dropped.
struct Waiting<'a>(&'a WorkerStore);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waits = self.0.waits();
        waits.reads = waits.reads.saturating_sub(1);
        if waits.reads == 0
            && let Some(since) = waits.since.take()
        {
            waits.total += since.elapsed();
        }
    }
}

impl WorkerStore {
    pub(super) fn new(
        own: Option<Arc<dyn ObjectStore>>,
        server: Arc<ServerFiles>,
        reading: Handle,
    ) -> WorkerStore {
        WorkerStore { own, server, reading, waits: Mutex::default() }
    }

    /// Resets the measurement for a new statement.
    pub(super) fn begin(&self) {
        *self.waits() = Waits::default();
    }

    /// Whether a statement that has run for `statement` spent most of that time waiting here, and still waits.
    pub(super) fn is_waited_for(&self, statement: Duration) -> bool {
        let waits = self.waits();
        waits.since.is_some_and(|since| (waits.total + since.elapsed()) * 2 > statement)
    }

    fn waits(&self) -> std::sync::MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) -> Waiting<'_> {
        let mut waits = self.waits();
        waits.reads += 1;
        waits.since.get_or_insert_with(Instant::now);
        drop(waits);
        Waiting(self)
    }

    fn own(&self, path: &Path) -> Option<Arc<dyn ObjectStore>> {
        let folder = path.parts().rev().nth(1);
        self.own.clone().filter(|_| folder.is_none_or(|folder| folder.as_ref() != "hot"))
    }
}

impl fmt::Debug for WorkerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerStore").field("own", &self.own).finish_non_exhaustive()
    }
}

impl fmt::Display for WorkerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.own {
            Some(own) => own.fmt(f),
            None => f.write_str("the store of the server"),
        }
    }
}

fn refused<T>() -> Result<T> {
    Err(Error::NotSupported { source: "a worker only reads".into() })
}

fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Generic { store: "worker", source: source.into() }
}

#[async_trait]
impl ObjectStore for WorkerStore {
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let _waiting = self.wait();
        let Some(own) = self.own(location) else {
            return self.server.read(location.as_ref(), ranges).await.map_err(failed);
        };
        let (location, ranges) = (location.clone(), ranges.to_vec());
        let read = self.reading.spawn(async move { own.get_ranges(&location, &ranges).await });
        AbortOnDropHandle::new(read).await.map_err(failed)?
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let _waiting = self.wait();
        let Some(own) = self.own(location) else { return refused() };
        let location = location.clone();
        let read = self.reading.spawn(async move { own.get_opts(&location, options).await });
        AbortOnDropHandle::new(read).await.map_err(failed)?
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        refused()
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        refused()
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        paths.map(|_| refused()).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::once(async { refused() }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        refused()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        refused()
    }
}
