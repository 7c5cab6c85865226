//! Object stores between a lake and its place: one that counts and fails calls, one that ignores conditions.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// An error, and nothing was done.
    Before,
    /// An error, although it was done.
    LostAnswer,
    /// No answer, nothing done.
    Hang,
}

/// Counts calls, and fails one of them.
#[derive(Debug)]
pub struct Counting {
    inner: Arc<dyn ObjectStore>,
    calls: AtomicUsize,
    gets: AtomicUsize,
    fail: Option<(usize, Failure)>,
    /// Nothing is answered at all.
    pub hangs: AtomicBool,
}

impl Counting {
    pub fn new(inner: Arc<dyn ObjectStore>) -> Arc<Counting> {
        Counting::failing(inner, None)
    }

    /// Fails the call of that number, counted from 0.
    pub fn failing(inner: Arc<dyn ObjectStore>, fail: Option<(usize, Failure)>) -> Arc<Counting> {
        let hangs = AtomicBool::new(false);
        Arc::new(Counting { inner, calls: AtomicUsize::new(0), gets: AtomicUsize::new(0), fail, hangs })
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Calls that read objects.
    pub fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }

    fn next(&self) -> Option<Failure> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            return Some(Failure::Hang);
        }
        self.fail.filter(|(at, _)| *at == number).map(|(_, failure)| failure)
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next() {
            None => work.await,
            Some(Failure::Before) => Err(failed()),
            Some(Failure::LostAnswer) => {
                work.await?;
                Err(failed())
            }
            Some(Failure::Hang) => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Err(failed())
            }
        }
    }

    fn items<T: Send + 'static>(
        &self,
        items: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        match self.next() {
            None => items,
            Some(Failure::Before) => futures::stream::once(async { Err(failed()) }).boxed(),
            Some(Failure::LostAnswer) => items.chain(futures::stream::once(async { Err(failed()) })).boxed(),
            Some(Failure::Hang) => futures::stream::pending().boxed(),
        }
    }
}

fn failed() -> Error {
    Error::Generic { store: "test", source: "made to fail".into() }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that counts")
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.call(self.inner.put_opts(to, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.call(self.inner.put_multipart_opts(to, options)).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.call(self.inner.get_opts(from, options)).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.call(self.inner.get_ranges(from, ranges)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.items(self.inner.delete_stream(paths))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.items(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.items(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.call(self.inner.copy_opts(from, to, options)).await
    }
}

/// Writes whatever is asked, as stores do that do not know `If-None-Match`.
#[derive(Debug)]
pub struct Unconditional(pub Arc<dyn ObjectStore>);

impl fmt::Display for Unconditional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that ignores conditions")
    }
}

#[async_trait]
impl ObjectStore for Unconditional {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(to, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(from, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
