//! Where a lake lies: in memory, on local disk, or in a bucket of an S3 server.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use futures::TryStreamExt;
use mqlake::config;
use mqlake::lake::{Lake, Store};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parquet::file::reader::{FileReader, SerializedFileReader};
use tempfile::TempDir;

use crate::support::rows;

/// A place that several processes can open.
pub struct Place {
    kind: Kind,
    /// For spools and whatever else a process keeps on its own disk.
    pub home: TempDir,
}

enum Kind {
    Memory(Arc<InMemory>),
    Disk,
    S3 { url: String, options: BTreeMap<String, String> },
}

impl Place {
    fn new(kind: Kind) -> Place {
        Place { kind, home: tempfile::tempdir().unwrap() }
    }

    pub fn memory() -> Place {
        Place::new(Kind::Memory(Arc::default()))
    }

    pub fn disk() -> Place {
        Place::new(Kind::Disk)
    }

    /// A folder of its own in the bucket that `MQLAKE_TEST_S3_URL` names, at `MQLAKE_TEST_S3_ENDPOINT`.
    pub fn s3() -> Place {
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run tests/interop/s3/run"))
        };
        let url = format!("{}/{}", variable("MQLAKE_TEST_S3_URL"), uuid::Uuid::new_v4());
        let options = [
            ("aws_endpoint", variable("MQLAKE_TEST_S3_ENDPOINT")),
            ("aws_allow_http", "true".to_owned()),
            ("aws_region", "us-east-1".to_owned()),
            ("aws_access_key_id", "test-access-key".to_owned()),
            ("aws_secret_access_key", "test-secret-key".to_owned()),
        ];
        let options = options.map(|(name, value)| (name.to_owned(), value)).into();
        Place::new(Kind::S3 { url, options })
    }

    /// Whether a lock of the operating system keeps a second writer away.
    pub fn has_locks(&self) -> bool {
        matches!(self.kind, Kind::Disk)
    }

    pub fn is_s3(&self) -> bool {
        matches!(self.kind, Kind::S3 { .. })
    }

    /// The directory of the lake, if it is one.
    pub fn directory(&self) -> std::path::PathBuf {
        self.home.path().join("data")
    }

    /// The store as one more process opens it.
    pub fn store(&self) -> Store {
        match &self.kind {
            Kind::Memory(objects) => {
                Store::with_objects(objects.clone(), "memory:///lake/".parse().unwrap()).unwrap()
            }
            Kind::Disk => Store::open(&self.directory().display().to_string(), &BTreeMap::new()).unwrap(),
            Kind::S3 { url, options } => Store::open(url, options).unwrap(),
        }
    }

    /// The store as one more process opens it, with something between.
    pub fn store_through<T: ObjectStore>(&self, shim: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<T>) -> Store {
        let mut store = self.store();
        store.objects = shim(store.objects.clone());
        store
    }

    /// The lake as one more process opens it.
    pub async fn lake(&self, settings: &config::Lake) -> Arc<Lake> {
        Arc::new(Lake::open(self.store(), settings.clone()).await.unwrap())
    }

    /// Rows of a statement as sorted lines, of what is committed.
    pub async fn rows(&self, statement: &str) -> Vec<String> {
        self.rows_of_all(&[statement.to_owned()]).await.remove(0)
    }

    /// The sorted rows of several statements, over one snapshot.
    pub async fn rows_of_all(&self, statements: &[String]) -> Vec<Vec<String>> {
        let settings = config::Config::default();
        let lake = Arc::new(Lake::open_existing(self.store(), settings.lake.clone()).await.unwrap());
        let engine = rows::engine(lake, &settings).await;
        let mut all = Vec::new();
        for statement in statements {
            all.push(rows::sorted_lines(&engine, statement).await);
        }
        all
    }

    /// Everything that `mqlake verify` finds is wrong.
    pub async fn assert_sound(&self) {
        let lake = Lake::open_existing(self.store(), config::Lake::default()).await.unwrap();
        let report = lake.verify(mqlake::brokers::streams_of).await.unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }

    /// Names of the data files of a table, live or not.
    pub async fn files(&self, table: &str) -> Vec<String> {
        let store = self.store();
        let folder = store.table_folder(table);
        let objects: Vec<_> = store.objects.list(Some(&folder)).try_collect().await.unwrap();
        let names = objects.into_iter().map(|object| object.location.to_string());
        let mut names: Vec<String> =
            names.filter(|name| name.ends_with(".parquet") && !name.contains("_delta_log")).collect();
        names.sort();
        names
    }

    /// Rows of a table that a plain glob over settled files meets.
    pub async fn glob_rows(&self, table: &str) -> i64 {
        use object_store::ObjectStoreExt;
        let store = self.store();
        let mut rows = 0;
        for name in self.files(table).await.iter().filter(|name| name.contains("/dt=")) {
            let path = object_store::path::Path::parse(name).unwrap();
            let bytes = store.objects.get(&path).await.unwrap().bytes().await.unwrap();
            rows += SerializedFileReader::new(bytes).unwrap().metadata().file_metadata().num_rows();
        }
        rows
    }

    /// A folder of one process.
    pub fn own(&self, process: &str) -> std::path::PathBuf {
        let folder: &FilePath = self.home.path();
        folder.join(process)
    }
}
