//! The object store under the lake: a local directory or any URL that `object_store` knows.
//!
//! Everything above works on [`Store`] and never on a local path. For a local directory an object is
//! forced to disk before a commit may refer to it (`object_store` itself does not), so that a power cut
//! cannot leave a commit that names an empty file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use url::Url;

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
}

impl Store {
    /// Opens `data`: a directory (created if missing) or a URL (`file:`, `s3:`, `memory:`).
    ///
    /// # Errors
    /// [`Error::Config`] if the URL or an option is not understood, or the directory cannot be created or read;
    /// [`Error::Store`] if its disk fails.
    pub fn open(data: &str, options: &BTreeMap<String, String>) -> Result<Store> {
        match Url::parse(data) {
            Ok(url) if url.scheme() == "file" => {
                let path = url
                    .to_file_path()
                    .map_err(|()| Error::Config(format!("data: `{data}` is not a local path")))?;
                Store::open_directory(&path)
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
            _ => Store::open_directory(std::path::Path::new(data)),
        }
    }

    /// A lake at `url` inside a given store; for tests and embedding.
    ///
    /// # Errors
    /// [`Error::Config`] if the URL's path is not an object path.
    pub fn with_objects(objects: Arc<dyn ObjectStore>, url: Url) -> Result<Store> {
        let root = Path::from_url_path(url.path())
            .map_err(|error| Error::Config(format!("data: {url}: {error}")))?;
        Ok(Store { objects, url: with_slash(url), root, local: None })
    }

    fn open_directory(directory: &std::path::Path) -> Result<Store> {
        let failed = |what: &str, error: std::io::Error| {
            let what = format!("data: {}: cannot {what} the directory: {error}", directory.display());
            // a path that cannot be right is a wrong setting; a disk that fails can come back
            if is_wrong_path(error.kind()) { Error::Config(what) } else { Error::store(what, error) }
        };
        std::fs::create_dir_all(directory).map_err(|error| failed("create", error))?;
        let absolute = directory.canonicalize().map_err(|error| failed("open", error))?;
        std::fs::read_dir(&absolute).map_err(|error| failed("read", error))?;
        let url =
            Url::from_directory_path(&absolute).map_err(|()| Error::input(directory, "has no URL form"))?;
        let root = Path::from_absolute_path(&absolute)
            .map_err(|error| Error::input(directory, error.to_string()))?;
        Ok(Store { objects: Arc::new(LocalFileSystem::new()), url, root, local: Some(PathBuf::from("/")) })
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
        Store::with_objects(Arc::new(store), with_slash(url))
    }

    /// Folder of a table.
    #[must_use]
    pub fn table_folder(&self, table: &str) -> Path {
        self.root.clone().join(table)
    }

    /// Path in the file system of something below the lake's folder, if the store is a local directory.
    #[must_use]
    pub fn local_path(&self, relative: &str) -> Option<PathBuf> {
        let base = self.local.as_ref()?;
        Some(base.join(self.root.as_ref()).join(relative))
    }

    /// What paths of objects are relative to in the file system, if the store is one.
    #[must_use]
    pub fn local_base(&self) -> Option<&std::path::Path> {
        self.local.as_deref()
    }

    /// Writes an object and, on a local file system, forces it to disk.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put_durably(&self, path: &Path, bytes: Bytes) -> Result<()> {
        self.objects
            .put(path, PutPayload::from_bytes(bytes))
            .await
            .map_err(|error| Error::store(format!("writing {path}"), error))?;
        self.force(path).await
    }

    /// Forces a local object to disk; does nothing for other stores, which acknowledge durable writes only.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn force(&self, path: &Path) -> Result<()> {
        let Some(base) = &self.local else { return Ok(()) };
        let file = base.join(path.as_ref());
        let name = path.to_string();
        tokio::task::spawn_blocking(move || -> std::io::Result<()> {
            std::fs::File::open(&file)?.sync_all()?;
            if let Some(parent) = file.parent() {
                std::fs::File::open(parent)?.sync_all()?;
            }
            Ok(())
        })
        .await?
        .map_err(|error| Error::store(format!("forcing {name} to disk"), error))
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

/// An error if the endpoint is not one that requests can be sent to: that would show as a store that is away.
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
