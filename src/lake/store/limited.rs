//! A time limit on every call of an object store, so that a call that hangs becomes an error.
//!
//! The error names the store and the setting. Nothing is retried here, and a call that timed out may still take effect:
//! a writer has to read the store to know.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

/// Bytes that extend the limit by a second: a large object on a slow connection must not count as a store that hangs.
const BYTES_PER_SECOND: u64 = 1 << 20;

/// A store with a time limit on its calls.
#[derive(Debug, Clone)]
pub(super) struct Limited {
    pub(super) inner: Arc<dyn ObjectStore>,
    /// Name of the store in errors.
    pub(super) name: Arc<str>,
    pub(super) limit: Duration,
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Limited {
    fn hung(&self) -> Error {
        let text = format!("{} gave no answer within {:?} (lake.store_timeout)", self.name, self.limit);
        Error::Generic { store: "object store", source: text.into() }
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        tokio::time::timeout(self.limit, call).await.unwrap_or_else(|_| Err(self.hung()))
    }

    /// As [`Limited::in_time`], with more time for a transfer of this many bytes.
    async fn write_in_time<T>(
        &self,
        bytes: usize,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let limit = self.limit + Duration::from_secs(bytes as u64 / BYTES_PER_SECOND);
        tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(self.hung()))
    }

    /// A stream with the time limit on each item. It ends with the first item that is late.
    fn each_in_time<T: Send + 'static>(
        &self,
        items: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let store = self.clone();
        stream::unfold(Some(items), move |items| {
            let store = store.clone();
            async move {
                let mut items = items?;
                match tokio::time::timeout(store.limit, items.next()).await {
                    Ok(item) => item.map(|item| (item, Some(items))),
                    Err(_) => Some((Err(store.hung()), None)),
                }
            }
        })
        // some callers poll once more after the end
        .fuse()
        .boxed()
    }
}

#[async_trait]
impl ObjectStore for Limited {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bytes = payload.content_length();
        self.write_in_time(bytes, self.inner.put_opts(to, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.in_time(self.inner.put_multipart_opts(to, options)).await?;
        Ok(Box::new(Upload { inner, store: self.clone() }))
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.in_time(self.inner.get_opts(from, options)).await?;
        found.payload = match found.payload {
            GetResultPayload::Stream(parts) => GetResultPayload::Stream(self.each_in_time(parts)),
            // an open local file: reading it is no call of the store
            file => file,
        };
        Ok(found)
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.write_in_time(bytes, self.inner.get_ranges(from, ranges)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.each_in_time(self.inner.delete_stream(paths))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.each_in_time(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.each_in_time(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.in_time(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.in_time(self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.in_time(self.inner.rename_opts(from, to, options)).await
    }
}

/// An upload with the time limit on each part.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    store: Limited,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (store, bytes) = (self.store.clone(), data.content_length());
        let part = self.inner.put_part(data);
        Box::pin(async move { store.write_in_time(bytes, part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.store.in_time(self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.in_time(self.inner.abort()).await
    }
}
