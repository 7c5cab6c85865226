//! The files of a commit log: found in one or more folders, ordered, and checked before anything is read from them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::file_window::is_zero;

/// Bytes compared or searched at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// One file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Physical offset of its first byte.
    pub start: u64,
    /// The file.
    pub path: PathBuf,
    /// Bytes in the file when it was listed.
    pub bytes: u64,
}

/// Lists the files of a log by their start.
///
/// A log can be spread over several folders. Names that are not 20 digits are ignored; an empty last file is one the
/// broker has just created.
pub(super) fn find(folders: &[PathBuf]) -> Result<Vec<LogFile>, Error> {
    let mut found = BTreeMap::new();
    let mut seen = Vec::new();
    for folder in folders {
        let real = folder.canonicalize().map_err(Error::io(folder))?;
        if !seen.contains(&real) {
            list(folder, &mut found)?;
            seen.push(real);
        }
    }
    let mut files: Vec<LogFile> = found.into_values().collect();
    while files.pop_if(|file| file.bytes == 0).is_some() {}
    for pair in files.windows(2) {
        if let [before, after] = pair
            && before.start.saturating_add(before.bytes) > after.start
        {
            return Err(Error::Overlap { first: before.path.clone(), second: after.path.clone() });
        }
    }
    Ok(files)
}

fn list(folder: &Path, found: &mut BTreeMap<u64, LogFile>) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        let path = entry.path();
        let start = start_of(&entry.file_name().to_string_lossy());
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            // the broker deletes old files at any time
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io(&path)(error)),
        };
        let Some(start) = start.filter(|_| metadata.is_file()) else {
            tracing::debug!(file = %path.display(), "not a commit log file, ignored");
            continue;
        };
        let file = LogFile { start, path, bytes: metadata.len() };
        match found.get(&start) {
            Some(other) => {
                if let Some(fuller) = fuller(other, &file)? {
                    found.insert(start, fuller);
                }
            }
            None => {
                found.insert(start, file);
            }
        }
    }
    Ok(())
}

/// The offset in a file name, which is signed in the format.
fn start_of(name: &str) -> Option<u64> {
    let digits = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    let start = if digits { name.parse::<i64>().ok()? } else { return None };
    u64::try_from(start).ok()
}

/// Selects which of two files with the same name to read; `None` if it is the first.
///
/// A broker that spreads its log can leave a file of zeros on the other disk, and a copy can be older. Then one of them
/// is what the other begins with, followed by zeros.
fn fuller(one: &LogFile, other: &LogFile) -> Result<Option<LogFile>, Error> {
    let mut readers = [open(one)?, open(other)?];
    let mut chunks = [Vec::new(), Vec::new()];
    // which of them has data where the other has none, once they differ
    let mut with_data: Option<usize> = None;
    loop {
        for ((reader, chunk), file) in readers.iter_mut().zip(&mut chunks).zip([one, other]) {
            chunk.clear();
            reader.take(CHUNK_BYTES as u64).read_to_end(chunk).map_err(Error::io(&file.path))?;
        }
        let [first, second] = &chunks;
        if first.is_empty() && second.is_empty() {
            break;
        }
        let common = match with_data {
            None => first.iter().zip(second).take_while(|(one, other)| one == other).count(),
            Some(_) => 0,
        };
        let [first, second] = [first, second].map(|chunk| is_zero(chunk.get(common..).unwrap_or_default()));
        with_data = match (first, second, with_data) {
            (true, true, known) => known,
            (false, true, None | Some(0)) => Some(0),
            (true, false, None | Some(1)) => Some(1),
            _ => return Err(Error::Conflict { first: one.path.clone(), second: other.path.clone() }),
        };
    }
    // of two files with the same data the longer one: the other was not copied completely
    let is_other = with_data.map_or(other.bytes > one.bytes, |which| which == 1);
    Ok(is_other.then(|| other.clone()))
}

fn open(file: &LogFile) -> Result<File, Error> {
    File::open(&file.path).map_err(Error::io(&file.path))
}

/// Whether a file holds anything but zeros. Brokers create a file of zeros ahead of the one they write.
///
/// A file without blocks on disk and with zeros at its start is assumed to be one, without reading all of it.
pub(super) fn has_data(file: &LogFile) -> Result<bool, Error> {
    let mut reader = match File::open(&file.path) {
        Ok(reader) => reader,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::io(&file.path)(error)),
    };
    let sparse = has_no_blocks(&reader).map_err(Error::io(&file.path))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = reader.read(&mut chunk).map_err(Error::io(&file.path))?;
        if chunk.get(..read).is_some_and(|read| !is_zero(read)) {
            return Ok(true);
        }
        if read == 0 || sparse {
            return Ok(false);
        }
    }
}

/// Physical offset behind the last chunk of a file that is not zeros only.
pub(super) fn end_of_data(file: &LogFile) -> Result<u64, Error> {
    let mut reader = open(file)?;
    let mut end = file.bytes;
    let mut chunk = vec![0; CHUNK_BYTES];
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES as u64);
        let bytes = usize::try_from(end - start).unwrap_or(CHUNK_BYTES);
        let Some(part) = chunk.get_mut(..bytes) else { break };
        let read = reader.seek(SeekFrom::Start(start)).and_then(|_| reader.read_exact(part));
        read.map_err(Error::io(&file.path))?;
        if !is_zero(part) {
            break;
        }
        end = start;
    }
    Ok(file.start.saturating_add(end))
}

#[cfg(unix)]
fn has_no_blocks(file: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.blocks() == 0)
}

#[cfg(not(unix))]
fn has_no_blocks(_: &File) -> std::io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
