//! The files of a commit log, laid out as a broker does it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use mqlake::brokers::rocketmq::format::record::Record;
use mqlake::brokers::rocketmq::format::record_encode::{encode, encode_blank};

const BUFFER_BYTES: usize = 1 << 20;
/// Bytes reserved after the last record of a file, for the marker.
const MARKER_BYTES: u64 = 8;

/// A commit log to append to.
#[derive(Debug)]
pub(crate) struct CommitLog {
    folder: PathBuf,
    file_bytes: u64,
    /// Offset of the file being written.
    base: u64,
    /// Bytes used in that file.
    used: u64,
    file: BufWriter<File>,
    /// The record being written.
    bytes: Vec<u8>,
}

impl CommitLog {
    /// Creates a log.
    ///
    /// # Errors
    /// Those of the file system, also if there is a log already.
    pub(crate) fn create(folder: &Path, file_bytes: u64) -> io::Result<CommitLog> {
        fs::create_dir_all(folder)?;
        let file = open(folder, 0)?;
        Ok(CommitLog { folder: folder.to_owned(), file_bytes, base: 0, used: 0, file, bytes: Vec::new() })
    }

    /// Appends a record at the end of the log, whatever position it carries.
    ///
    /// # Errors
    /// Those of the file system, and if the record is larger than a file.
    pub(crate) fn append(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.encode(record);
        if self.bytes.len() as u64 + MARKER_BYTES > self.file_bytes - self.used {
            self.end_file()?;
            self.encode(record);
        }
        if self.bytes.len() as u64 + MARKER_BYTES > self.file_bytes {
            return Err(io::Error::other(format!("a record of {} bytes fits no file", self.bytes.len())));
        }
        self.file.write_all(&self.bytes)?;
        self.used += self.bytes.len() as u64;
        Ok(())
    }

    fn encode(&mut self, record: &Record<'_>) {
        self.bytes.clear();
        encode(&mut self.bytes, &Record { position: (self.base + self.used).cast_signed(), ..*record });
    }

    fn end_file(&mut self) -> io::Result<()> {
        let left = usize::try_from(self.file_bytes - self.used).map_err(io::Error::other)?;
        self.bytes.clear();
        encode_blank(&mut self.bytes, left);
        self.file.write_all(&self.bytes)?;
        self.file.flush()?;
        self.base += self.file_bytes;
        self.used = 0;
        self.file = open(&self.folder, self.base)?;
        Ok(())
    }

    /// Extends the last file to its full size, as a broker does from the start, and returns the end of the log.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.file.flush()?;
        self.file.get_ref().set_len(self.file_bytes)?;
        Ok(self.base + self.used)
    }
}

fn open(folder: &Path, base: u64) -> io::Result<BufWriter<File>> {
    let path = folder.join(format!("{base:020}"));
    let file = File::create_new(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
}
