//! A store that does not answer while a statement waits for it: that is the store's fault, and the answer says so.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use mqlake::lake::{Lake, Store};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::support::http::Server;
use crate::support::{self, week};

const FINE: u8 = 0;
const HUNG: u8 = 1;
const DOWN: u8 = 2;

/// Local files of which those of rows can stop to answer.
#[derive(Debug, Default)]
struct Moody {
    inner: LocalFileSystem,
    mood: AtomicU8,
}

impl fmt::Display for Moody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a moody store")
    }
}

impl Moody {
    async fn read(&self, from: &Path) -> Result<()> {
        match self.mood.load(Ordering::Relaxed) {
            HUNG if from.as_ref().ends_with(".parquet") => std::future::pending().await,
            DOWN if from.as_ref().ends_with(".parquet") => {
                Err(Error::Generic { store: "moody", source: "connection refused".into() })
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ObjectStore for Moody {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(to, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        o: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, o).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.read(from).await?;
        self.inner.get_opts(from, options).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read(from).await?;
        self.inner.get_ranges(from, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_or_fails_is_503_and_never_the_statement_s_fault() {
    let data = week::lake();
    let objects = Arc::new(Moody::default());
    let mut config = support::config(&data);
    config.sql.timeout = Duration::from_secs(2);
    let url = url::Url::from_directory_path(data.canonicalize().unwrap()).unwrap();
    let store = Store::with_objects(objects.clone(), url).unwrap();
    let lake = Arc::new(Lake::open_existing(store, config.lake.clone()).await.unwrap());
    let server = Server::with_lake(lake, config).await;
    for (mood, statement, expected) in [
        (HUNG, "SELECT count(*), max(message_id) FROM message", "no answer within 2s (sql.timeout)"),
        (DOWN, "SELECT count(*), max(store_time) FROM message", "connection refused"),
    ] {
        objects.mood.store(mood, Ordering::Relaxed);
        let answer = server.sql(statement, "*/*").await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        let problem = answer.json();
        assert_eq!(problem["type"], "urn:mqlake:problem:store-unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(expected) && !detail.contains("narrow it"), "{detail}");
        objects.mood.store(FINE, Ordering::Relaxed);
        let answer = server.sql("SELECT count(*) AS n FROM dead_message", "*/*").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
