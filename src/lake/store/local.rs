//! A local directory as an object store in which every acknowledged write survives a power loss.
//!
//! `object_store` leaves written files in the page cache. Here a file's bytes are forced to disk before the file gets
//! its name, and its folder is forced after that, so that neither a commit nor a file that it names can be empty after a
//! power loss. It caches nothing and retries nothing: a failed force is a failed write.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

use crate::durable::{make_folder, sync_file, sync_folder};

/// The file system from its root.
#[derive(Debug)]
pub(super) struct DurableLocal(LocalFileSystem);

impl DurableLocal {
    pub(super) fn new() -> DurableLocal {
        DurableLocal(LocalFileSystem::new())
    }

    async fn force(&self, location: &Path) -> Result<()> {
        let path = self.0.path_to_filesystem(location)?;
        blocking(location, move || sync_file(&path)).await
    }
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("local file system")
    }
}

async fn blocking<T: Send + 'static>(
    location: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await?;
    done.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => {
            Error::AlreadyExists { path: location.to_string(), source: source.into() }
        }
        ErrorKind::NotFound => Error::NotFound { path: location.to_string(), source: source.into() },
        _ => Error::Generic { store: "local file system", source: format!("{location}: {source}").into() },
    })
}

/// A temporary name beside the target. Listings skip names of this form.
fn staged_name(path: &FilePath) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("#{}", uuid::Uuid::new_v4().as_u128()));
    PathBuf::from(name)
}

fn write(path: &FilePath, payload: &PutPayload, is_new: bool) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let staged = staged_name(path);
    let stage = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&staged)?;
        payload.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        drop(file);
        // unlike a rename, a link fails if the name is taken
        if is_new { fs::hard_link(&staged, path) } else { fs::rename(&staged, path) }
    };
    let outcome = stage();
    if is_new || outcome.is_err() {
        let _ = fs::remove_file(&staged);
    }
    outcome?;
    path.parent().map_or(Ok(()), sync_folder)
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let is_new = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return self.0.put_opts(to, payload, options).await,
        };
        let path = self.0.path_to_filesystem(to)?;
        blocking(to, move || write(&path, &payload, is_new)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.0.path_to_filesystem(to)?;
        let (folder, location) = (path.parent().map(FilePath::to_owned), to.clone());
        blocking(to, move || folder.map_or(Ok(()), |folder| make_folder(&folder))).await?;
        let inner = self.0.put_multipart_opts(to, options).await?;
        Ok(Box::new(Upload { inner, path, location }))
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(from, options).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(from, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await?;
        self.force(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await?;
        self.force(to).await
    }
}

/// A file written in parts, forced to disk when it is complete.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
    location: Path,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await?;
        let path = self.path.clone();
        blocking(&self.location, move || sync_file(&path)).await?;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn a_name_is_created_once_and_no_staged_file_is_left() {
        let home = tempfile::tempdir().unwrap();
        let store = DurableLocal::new();
        let folder = Path::from_absolute_path(home.path()).unwrap();
        let path = folder.clone().join("a").join("b c").join("d.json");
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        store.put_opts(&path, "one".into(), create.clone()).await.unwrap();
        let again = store.put_opts(&path, "two".into(), create).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "one");
        store.put(&path, "three".into()).await.unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "three");
        let all: Vec<ObjectMeta> = store.list(Some(&folder)).try_collect().await.unwrap();
        assert!(all.iter().map(|meta| &meta.location).eq([&path]), "{all:?}");
        let on_disk = std::fs::read_dir(home.path().join("a").join("b c")).unwrap();
        assert_eq!(on_disk.count(), 1, "no staged file is left");
    }

    #[tokio::test]
    async fn a_write_that_cannot_be_done_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("file"), "x").unwrap();
        let store = DurableLocal::new();
        let below_a_file = Path::from_absolute_path(home.path()).unwrap().join("file").join("x");
        store.put(&below_a_file, "one".into()).await.unwrap_err();
    }
}
