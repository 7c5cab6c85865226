//! The segment files of one log: found, ordered, and checked before anything is read from them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::format::LogFormat;
use crate::error::{Error, Result};

/// One segment file.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Offset of its first byte in the log.
    pub base: u64,
    /// The file.
    pub path: PathBuf,
    /// Size of the file in bytes; a copy may lack the zeros behind the last record.
    pub bytes: u64,
}

/// The segments of one log, in order.
#[derive(Debug, Clone)]
pub struct Segments {
    /// Folder of the log.
    pub folder: PathBuf,
    /// The files, by base offset.
    pub list: Vec<Segment>,
}

impl Segments {
    /// Lists and checks the segments of a log.
    ///
    /// Every file is opened and its first bytes are checked, so that a wrong directory, an unreadable file or a foreign
    /// file is found before the first row is made.
    ///
    /// # Errors
    /// [`Error::Input`] that names the file.
    pub fn find<F: LogFormat>(folder: &Path, allow_gaps: bool) -> Result<Segments> {
        let entries = std::fs::read_dir(folder)
            .map_err(|error| Error::input(folder, format!("cannot be listed: {error}")))?;
        let mut list = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Error::input(folder, format!("cannot be listed: {error}")))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(base) = base_of(&name) {
                list.push(open::<F>(entry.path(), base)?);
            } else if !name.starts_with('.') {
                tracing::debug!(file = %entry.path().display(), "not a segment, ignored");
            }
        }
        if list.is_empty() {
            return Err(Error::input(
                folder,
                "holds no segment files (names of 20 digits); is this a QMQ store, and are its files unpacked?",
            ));
        }
        list.sort_by_key(|segment| segment.base);
        for pair in list.windows(2) {
            let [before, after] = pair else { continue };
            if after.base != before.base + F::SEGMENT_BYTES && !allow_gaps {
                return Err(Error::input(
                    folder,
                    format!(
                        "segments are missing: {:020} is followed by {:020}; copy the files between them, \
                         or pass --skip-corrupt to go on without",
                        before.base, after.base
                    ),
                ));
            }
        }
        Ok(Segments { folder: folder.to_path_buf(), list })
    }

    /// Offset of the first byte.
    #[must_use]
    pub fn first_offset(&self) -> u64 {
        self.list.first().map_or(0, |segment| segment.base)
    }

    /// Offset behind the last byte.
    #[must_use]
    pub fn end_offset(&self) -> u64 {
        self.list.last().map_or(0, |segment| segment.base + segment.bytes)
    }

    /// Bytes of all files from `offset` on.
    #[must_use]
    pub fn bytes_from(&self, offset: u64) -> u64 {
        self.list
            .iter()
            .map(|segment| (segment.base + segment.bytes).saturating_sub(segment.base.max(offset)))
            .sum()
    }
}

fn base_of(name: &str) -> Option<u64> {
    (name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit())).then(|| name.parse().ok()).flatten()
}

fn open<F: LogFormat>(path: PathBuf, base: u64) -> Result<Segment> {
    let fail = |reason: String| Error::input(&path, reason);
    if !base.is_multiple_of(F::SEGMENT_BYTES) {
        return Err(fail(format!(
            "its name is not a multiple of {}, so it is no segment of a {}",
            F::SEGMENT_BYTES,
            F::NAME
        )));
    }
    let mut file = File::open(&path).map_err(|error| fail(format!("cannot be read: {error}")))?;
    let metadata = file.metadata().map_err(|error| fail(format!("cannot be read: {error}")))?;
    if !metadata.is_file() {
        return Err(fail("is not a file".to_owned()));
    }
    let bytes = metadata.len();
    if bytes > F::SEGMENT_BYTES {
        return Err(fail(format!("has {bytes} bytes, more than a segment of a {}", F::NAME)));
    }
    let mut start = [0_u8; 4];
    let mut filled = 0;
    while let Some(rest) = start.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(|error| fail(format!("cannot be read: {error}")))? {
            0 => break,
            read => filled += read,
        }
    }
    // a slave that joined in mid-segment leaves zeros at the start
    let known = F::MAGIC.is_empty()
        || filled < start.len()
        || start == [0; 4]
        || F::MAGIC.iter().any(|magic| start == **magic);
    if !known {
        return Err(fail(format!(
            "begins with {:02x}{:02x}{:02x}{:02x}, not with a record of a QMQ {}; is it another kind of file?",
            start[0],
            start[1],
            start[2],
            start[3],
            F::NAME
        )));
    }
    Ok(Segment { base, path, bytes })
}
