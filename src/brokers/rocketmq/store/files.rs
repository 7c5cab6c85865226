//! Lists the folders of a store: files with numbers as names, and sub-folders.
//!
//! A broker may add and delete files at any time, so a file that disappears counts as one that never existed. Nothing
//! here opens a file.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// A file whose name is a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedFile {
    /// The file.
    pub path: PathBuf,
    /// The number in its name. For logs and queues this is the byte offset of the first byte.
    pub base: i64,
    /// Size of the file in bytes.
    pub bytes: u64,
}

/// Files in `folder` whose names are numbers of exactly `digits` digits, in order; none if there is no such folder.
pub(super) fn numbered_files(folder: &Path, digits: usize) -> io::Result<Vec<NumberedFile>> {
    let mut files: Vec<NumberedFile> = entries(folder)?
        .into_iter()
        .filter(|(name, _, metadata)| {
            metadata.is_file() && name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit())
        })
        .filter_map(|(name, path, metadata)| {
            Some(NumberedFile { base: name.parse().ok()?, path, bytes: metadata.len() })
        })
        .collect();
    files.sort_unstable_by_key(|file| file.base);
    Ok(files)
}

/// Sub-folders of `folder` with their names, in order of the names; none if there is no such folder.
pub(super) fn folders(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut folders: Vec<(String, PathBuf)> = entries(folder)?
        .into_iter()
        .filter(|(_, _, metadata)| metadata.is_dir())
        .map(|(name, path, _)| (name, path))
        .collect();
    folders.sort_unstable();
    Ok(folders)
}

/// The entries of a folder. Names that are not UTF-8 are left out: brokers write none.
fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf, Metadata)>> {
    let Some(listing) = if_there(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    for entry in listing {
        let entry = entry?;
        // Not the entry's own metadata: a broker's folders can be symbolic links.
        if let (Ok(name), Some(metadata)) =
            (entry.file_name().into_string(), if_there(fs::metadata(entry.path()))?)
        {
            entries.push((name, entry.path(), metadata));
        }
    }
    Ok(entries)
}

/// Turns a missing file from an error into `None`.
pub(super) fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
