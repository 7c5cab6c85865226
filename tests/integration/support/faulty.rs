//! An object store in memory that fails, stalls, tears writes, loses answers or runs full, on demand.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What the store does to writes; every third one, so that commits fail at every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// What it should.
    None,
    /// An error, nothing written.
    Refuse,
    /// An error, though all was written.
    LoseAnswer,
    /// An error, and half of the object is there (of commits nothing: their write is atomic).
    Tear,
    /// No end.
    Stall,
    /// Every write is refused.
    Full,
    /// Reads and lists fail as well.
    Down,
    /// Only table `message` cannot be written.
    NoMessages,
}

const FAULTS: [Fault; 8] = [
    Fault::None,
    Fault::Refuse,
    Fault::LoseAnswer,
    Fault::Tear,
    Fault::Stall,
    Fault::Full,
    Fault::Down,
    Fault::NoMessages,
];

/// The store.
#[derive(Debug, Default)]
pub struct Faulty {
    inner: InMemory,
    fault: AtomicU8,
    writes: AtomicU32,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a failing store")
    }
}

fn failed(what: &str) -> Error {
    Error::Generic { store: "faulty", source: what.to_owned().into() }
}

impl Faulty {
    /// Changes what the store does from now on.
    pub fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Relaxed);
    }

    /// Writes that were tried so far.
    pub fn writes(&self) -> u32 {
        self.writes.load(Ordering::Relaxed)
    }

    fn fault(&self) -> Fault {
        FAULTS[usize::from(self.fault.load(Ordering::Relaxed))]
    }

    fn read(&self) -> Result<()> {
        if self.fault() == Fault::Down { Err(failed("down")) } else { Ok(()) }
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let is_hit = self.writes.fetch_add(1, Ordering::Relaxed) % 3 != 2;
        match self.fault() {
            Fault::Full | Fault::Down => Err(failed("no space left")),
            Fault::NoMessages if to.as_ref().contains("/message/") => Err(failed("no such table")),
            Fault::Refuse if is_hit => Err(failed("refused")),
            Fault::LoseAnswer if is_hit => {
                self.inner.put_opts(to, payload, options).await?;
                Err(failed("the answer was lost"))
            }
            Fault::Tear if is_hit => {
                if !to.as_ref().contains("_delta_log") {
                    let bytes = Bytes::from(payload);
                    self.inner.put(to, bytes.slice(..bytes.len() / 2).into()).await?;
                }
                Err(failed("the connection broke"))
            }
            Fault::Stall if is_hit => std::future::pending().await,
            _ => self.inner.put_opts(to, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.read()?;
        self.inner.get_opts(from, options).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read()?;
        self.inner.get_ranges(from, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.read() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => Box::pin(futures::stream::once(async move { Err(error) })),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
