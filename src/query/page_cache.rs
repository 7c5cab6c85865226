//! Reads of local files that are in the page cache of the operating system.
//!
//! A lookup makes a few reads of a few kilobytes. If the data is in the page cache, handing a read to another thread
//! and waking up again takes longer than the read. On Linux, `RWF_NOWAIT` reads only what is in memory. Everything
//! else, and large reads, go through the object store and its threads, also if the file system refuses the flag. So a
//! read of this module normally does not wait for a disk; this is best effort, since the kernel can still wait for
//! locks.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;

/// Maximum bytes read at once: copying more would delay other work of the thread.
const MAX_BYTES: u64 = 1 << 20;
/// Maximum files held open.
#[cfg(target_os = "linux")]
const MAX_OPEN: u64 = 256;
/// How long an unused file is held open. A deleted file occupies the disk until it is closed.
#[cfg(target_os = "linux")]
const IDLE: std::time::Duration = std::time::Duration::from_secs(60);

/// The files below a folder, some of them held open. Opening can wait for a disk, so it runs on other threads.
#[derive(Clone)]
pub(super) struct LocalFiles {
    base: Arc<std::path::Path>,
    #[cfg(target_os = "linux")]
    open: moka::future::Cache<Path, Arc<std::fs::File>>,
}

impl LocalFiles {
    pub(super) fn new(base: &std::path::Path) -> LocalFiles {
        LocalFiles {
            base: Arc::from(base),
            #[cfg(target_os = "linux")]
            open: moka::future::Cache::builder().max_capacity(MAX_OPEN).time_to_idle(IDLE).build(),
        }
    }

    /// Parts of a file; `None` unless all of them are in memory.
    #[cfg(target_os = "linux")]
    pub(super) async fn read(&self, path: &Path, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        if bytes > MAX_BYTES {
            return None;
        }
        let local = self.base.join(path.as_ref());
        let open = async {
            let opened = tokio::task::spawn_blocking(move || std::fs::File::open(local)).await;
            opened.map_err(std::io::Error::other).flatten().map(Arc::new)
        };
        let file = self.open.try_get_with_by_ref(path, open).await.ok()?;
        ranges.iter().map(|range| read_part(&file, range)).collect()
    }

    /// Other operating systems cannot read only from memory.
    #[cfg(not(target_os = "linux"))]
    pub(super) async fn read(&self, _path: &Path, _ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        None
    }

    /// Closes a file that no snapshot contains any more.
    pub(super) async fn forget(&self, path: &Path) {
        #[cfg(target_os = "linux")]
        self.open.invalidate(path).await;
        #[cfg(not(target_os = "linux"))]
        let _ = path;
    }
}

#[cfg(target_os = "linux")]
fn read_part(file: &std::fs::File, range: &Range<u64>) -> Option<Bytes> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let mut part = vec![0; usize::try_from(range.end.checked_sub(range.start)?).ok()?];
    let mut done = 0;
    while done < part.len() {
        let rest = part.get_mut(done..)?;
        let at = range.start + done as u64;
        match preadv2(file, &mut [std::io::IoSliceMut::new(rest)], at, ReadWriteFlags::NOWAIT).ok()? {
            // the file ends early: the object store gives the better error
            0 => return None,
            read => done += read,
        }
    }
    Some(Bytes::from(part))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_in_memory_are_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), b"0123456789").unwrap();
        let files = LocalFiles::new(folder.path());
        let (file, none) = (Path::from("file"), Path::from("none"));
        // some file systems do not support the flag; then nothing is read here
        if let Some(parts) = files.read(&file, &[2..4, 9..10, 5..5]).await {
            assert_eq!(parts, [Bytes::from("23"), Bytes::from("9"), Bytes::new()]);
        }
        assert_eq!(files.read(&file, &[0..1, 8..12]).await, None, "beyond the end");
        assert_eq!(files.read(&file, &[0..1, 0..MAX_BYTES]).await, None, "too much");
        assert_eq!(files.read(&none, &[0..1, 1..2]).await, None, "no file");
    }

    #[tokio::test]
    async fn a_file_is_opened_once_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let local = folder.path().join("file");
        std::fs::write(&local, b"0123456789").unwrap();
        let (files, file) = (LocalFiles::new(folder.path()), Path::from("file"));
        let Some(first) = files.read(&file, &[0..2, 3..4]).await else { return };
        std::fs::remove_file(&local).unwrap();
        assert_eq!(files.read(&file, &[0..2, 3..4]).await, Some(first));
        files.forget(&file).await;
        assert_eq!(files.read(&file, &[0..2, 3..4]).await, None);
    }
}
