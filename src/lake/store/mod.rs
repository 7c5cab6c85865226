//! The object store under the lake: a local directory, S3, or memory.
//!
//! Everything above works on [`Store`] and never on a local path. **ACKNOWLEDGED-IS-DURABLE**: what a store has
//! acknowledged survives a power loss, in the order of the acknowledgements. For local directories [`local`] guarantees
//! that; other stores are trusted. Every call has a time limit ([`limited`]).

mod limited;
mod local;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::sync::OnceCell;
use url::Url;

use limited::Limited;
use local::DurableLocal;

use crate::durable;
use crate::error::{Error, Result};

/// An object store and the folder of the lake inside it.
#[derive(Debug, Clone)]
pub struct Store {
    /// The store, rooted at the bucket or the file system's root.
    pub objects: Arc<dyn ObjectStore>,
    /// URL of the lake's folder, ending in `/`.
    pub url: Url,
    /// The lake's folder inside `objects`.
    pub root: Path,
    local: Option<PathBuf>,
    /// Options it was opened with; `None` if another process cannot open it with its URL and options.
    options: Option<BTreeMap<String, String>>,
    clock: Clock,
    /// Set once the store has been seen to refuse a write under an existing name.
    refuses_taken_names: Arc<OnceCell<()>>,
}

/// A source of the current time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// A clock that calls `now`.
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl Default for Clock {
    /// The machine's clock.
    fn default() -> Self {
        Clock::new(Utc::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

impl Store {
    /// Opens `data`: a directory (created if missing) or a URL (`file:`, `s3:`, `memory:`).
    ///
    /// # Errors
    /// [`Error::Config`] if the URL or an option is not understood, or the directory cannot be created or read;
    /// [`Error::Store`] if its disk fails.
    pub fn open(data: &str, options: &BTreeMap<String, String>) -> Result<Store> {
        Store::of(data, options, true)
    }

    /// As [`Store::open`], but creates nothing: a missing directory may appear later.
    ///
    /// # Errors
    /// [`Error::Config`] if the URL or an option is not understood.
    pub fn named(data: &str, options: &BTreeMap<String, String>) -> Result<Store> {
        Store::of(data, options, false)
    }

    fn of(data: &str, options: &BTreeMap<String, String>, may_create: bool) -> Result<Store> {
        match Url::parse(data) {
            Ok(url) if url.scheme() == "file" => {
                let path = url
                    .to_file_path()
                    .map_err(|()| Error::Config(format!("data: `{data}` is not a local path")))?;
                Store::open_directory(&path, may_create)
            }
            Ok(url) if url.scheme() == "s3" => Store::open_s3(url, options),
            Ok(url) if url.scheme() == "memory" => {
                Store::with_objects(Arc::new(InMemory::new()), with_slash(url))
            }
            // a single letter is a Windows drive, not a scheme
            Ok(url) if url.scheme().len() > 1 => Err(Error::Config(format!(
                "data: scheme `{}` of `{data}` is not supported; use a directory, file:// or s3://",
                url.scheme()
            ))),
            _ => Store::open_directory(std::path::Path::new(data), may_create),
        }
    }

    /// A lake at `url` inside of a given store; for tests and embedding.
    ///
    /// # Errors
    /// [`Error::Config`] if the URL's path is not an object path.
    pub fn with_objects(objects: Arc<dyn ObjectStore>, url: Url) -> Result<Store> {
        let root = Path::from_url_path(url.path())
            .map_err(|error| Error::Config(format!("data: {url}: {error}")))?;
        Ok(Store::over(objects, with_slash(url), root, None))
    }

    fn over(objects: Arc<dyn ObjectStore>, url: Url, root: Path, local: Option<PathBuf>) -> Store {
        let clock = Clock::default();
        Store { objects, url, root, local, options: None, clock, refuses_taken_names: Arc::default() }
    }

    /// The same store with another clock than the machine's.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Store {
        Store { clock, ..self }
    }

    /// The same store with a time limit on every call.
    #[must_use]
    pub(super) fn with_limit(self, limit: Duration) -> Store {
        let name = self.url.as_str().into();
        Store { objects: Arc::new(Limited { inner: self.objects, name, limit }), ..self }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn open_directory(directory: &std::path::Path, may_create: bool) -> Result<Store> {
        let failed = |what: &str, error: std::io::Error| {
            let what = format!("data: {}: cannot {what} the directory: {error}", directory.display());
            // an impossible path is a wrong setting; a disk that fails can recover
            if is_wrong_path(error.kind()) { Error::Config(what) } else { Error::store(what, error) }
        };
        if may_create {
            durable::make_folder(directory).map_err(|error| failed("create", error))?;
        }
        let absolute = match directory.canonicalize() {
            Ok(absolute) => {
                std::fs::read_dir(&absolute).map_err(|error| failed("read", error))?;
                absolute
            }
            Err(_) if !may_create => std::path::absolute(directory)
                .map_err(|error| Error::input(directory, format!("is no usable data directory: {error}")))?,
            Err(error) => return Err(failed("open", error)),
        };
        let url =
            Url::from_directory_path(&absolute).map_err(|()| Error::input(directory, "has no URL form"))?;
        let root = Path::from_absolute_path(&absolute)
            .map_err(|error| Error::input(directory, error.to_string()))?;
        let store = Store::over(Arc::new(DurableLocal::new()), url, root, Some(PathBuf::from("/")));
        Ok(Store { options: Some(BTreeMap::new()), ..store })
    }

    fn open_s3(url: Url, options: &BTreeMap<String, String>) -> Result<Store> {
        let mut builder = AmazonS3Builder::from_env().with_url(url.as_str());
        for (name, value) in options {
            let key: AmazonS3ConfigKey = name.parse().map_err(|_| {
                Error::Config(format!(
                    "storage: unknown option `{name}`; see the AWS_… names of object_store"
                ))
            })?;
            builder = builder.with_config(key, value);
        }
        check_endpoint(&builder)?;
        let store = builder.build().map_err(|error| Error::Config(format!("data: {url}: {error}")))?;
        let store = Store::with_objects(Arc::new(store), with_slash(url))?;
        Ok(Store { options: Some(options.clone()), ..store })
    }

    /// URL and options with which another process opens the same store; `None` if only this process can use it.
    #[must_use]
    pub fn address(&self) -> Option<(String, BTreeMap<String, String>)> {
        Some((self.url.to_string(), self.options.clone()?))
    }

    /// Folder of a table.
    #[must_use]
    pub fn table_folder(&self, table: &str) -> Path {
        self.root.clone().join(table)
    }

    /// File system path of an object below the lake's folder, if the store is a local directory.
    #[must_use]
    pub(super) fn local_path(&self, relative: &str) -> Option<PathBuf> {
        let base = self.local.as_ref()?;
        Some(base.join(self.root.as_ref()).join(relative))
    }

    /// The directory to which object paths are relative, if the store is a local directory.
    #[must_use]
    pub fn local_base(&self) -> Option<&std::path::Path> {
        self.local.as_deref()
    }

    /// Writes an object durably: see ACKNOWLEDGED-IS-DURABLE.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put_durably(&self, path: &Path, bytes: Bytes) -> Result<()> {
        self.objects
            .put(path, PutPayload::from_bytes(bytes))
            .await
            .map(drop)
            .map_err(|error| Error::store(format!("writing {path}"), error))
    }

    /// Forces a local object to disk that exists although writing it returned an error. Does nothing for other stores,
    /// or if the object no longer exists.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn force(&self, path: &Path) -> Result<()> {
        let Some(base) = &self.local else { return Ok(()) };
        let file = base.join(path.as_ref());
        match tokio::task::spawn_blocking(move || durable::sync_file(&file)).await? {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::store(format!("forcing {path} to disk"), error))
            }
            _ => Ok(()),
        }
    }

    /// Checks once that the store refuses to write an existing name (`If-None-Match`). Commits depend on it: in a store
    /// that ignores the condition two writers overwrite each other's commits.
    ///
    /// # Errors
    /// [`Error::Config`] if the store writes it nevertheless, [`Error::Store`] if it does not answer.
    pub async fn check_refuses_taken_names(&self) -> Result<()> {
        if self.local.is_some() {
            return Ok(());
        }
        self.refuses_taken_names.get_or_try_init(|| self.probe()).await.map(drop)
    }

    async fn probe(&self) -> Result<()> {
        let name = format!("{}.probe", uuid::Uuid::new_v4());
        let path = self.root.clone().join("_mqlake").join("probes").join(name);
        let options = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let refused = |how: &str| {
            Error::Config(format!(
                "data: {} {how}: without writes that are refused if the name is taken (If-None-Match) two writers would \
                 overwrite each other's commits, and rows would be lost. Use a store that supports them",
                self.url
            ))
        };
        // if the client repeated the first write, its answer can say that the name is taken, by the write itself
        match self.objects.put_opts(&path, "1".into(), options()).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) => {
                return Err(refused("does not offer conditional writes (aws_conditional_put)"));
            }
            Err(error) => return Err(Error::store(format!("writing {path}"), error)),
        }
        let again = self.objects.put_opts(&path, "2".into(), options()).await;
        let _ = self.objects.delete(&path).await;
        match again {
            Ok(_) => Err(refused("ignores conditional writes")),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(())
            }
            Err(error) => Err(Error::store(format!("writing {path}"), error)),
        }
    }
}

fn is_wrong_path(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{
        AlreadyExists, InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied,
        ReadOnlyFilesystem,
    };
    matches!(
        kind,
        AlreadyExists
            | InvalidFilename
            | InvalidInput
            | NotADirectory
            | NotFound
            | PermissionDenied
            | ReadOnlyFilesystem
    )
}

/// Fails if no request can be sent to the endpoint, which would otherwise look like a store that is unavailable.
fn check_endpoint(builder: &AmazonS3Builder) -> Result<()> {
    let allow_http = AmazonS3ConfigKey::Client(object_store::ClientConfigKey::AllowHttp);
    let may_be_plain = builder
        .get_config_value(&allow_http)
        .is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "on" | "yes" | "y"));
    for key in [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint] {
        let Some(endpoint) = builder.get_config_value(&key) else { continue };
        let wrong = |what: &str| Err(Error::Config(format!("storage.{}: `{endpoint}` {what}", key.as_ref())));
        match Url::parse(&endpoint).map(|url| url.scheme().to_owned()).as_deref() {
            Ok("https") => {}
            Ok("http") if may_be_plain => {}
            Ok("http") => {
                return wrong(
                    "is not encrypted; set aws_allow_http = \"true\" (AWS_ALLOW_HTTP=true) if that is meant",
                );
            }
            _ => return wrong("is no address of a store; write http://host:port or https://host"),
        }
    }
    Ok(())
}

fn with_slash(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}
