//! A stretch of a file in memory, moved forward as it is asked for: how logs of any size are read in a few MiB.
//!
//! It knows no record: what bytes mean, and whether it is right that they end here, is for its caller to say. It never
//! writes, and looks no further than the file reached when it was opened.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;

/// Bytes read at a time.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// A read-only file with the part of it that is in memory. Positions are positions in the file.
#[derive(Debug)]
pub(crate) struct FileWindow {
    file: File,
    length: u64,
    buffer: Vec<u8>,
    /// Position of the first byte in memory.
    start: u64,
    /// Bytes in memory.
    filled: usize,
    /// Counts bytes as they are read.
    bytes_read: Arc<AtomicU64>,
}

impl FileWindow {
    /// Opens a file. Nothing of it is read yet.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, buffer: Vec::new(), start: 0, filled: 0, bytes_read: Arc::default() })
    }

    /// The window as if the file ended at `length`, if it is longer: it may have grown since it was listed.
    pub(crate) fn up_to(self, length: u64) -> Self {
        Self { length: self.length.min(length), ..self }
    }

    /// The window with a counter of bytes that are read, for progress.
    pub(crate) fn counted_by(self, bytes_read: Arc<AtomicU64>) -> Self {
        Self { bytes_read, ..self }
    }

    /// Bytes of the file when it was opened, or fewer if it was cut since.
    pub(crate) const fn length(&self) -> u64 {
        self.length
    }

    /// Forgets what is in memory, so that it is read again: what writes the file may have changed it since.
    pub(crate) const fn forget(&mut self) {
        self.filled = 0;
    }

    /// What is in memory from `position` on: at least `bytes`, or up to the end of the file.
    ///
    /// `bytes` is room that is made, so it must not come from the file unchecked.
    pub(crate) fn at(&mut self, position: u64, bytes: usize) -> std::io::Result<&[u8]> {
        let bytes = self.left(position).min(bytes);
        if self.in_memory(position).len() < bytes {
            self.fill(position, bytes)?;
        }
        Ok(self.in_memory(position))
    }

    /// What is in memory from `position` on.
    pub(crate) fn in_memory(&self, position: u64) -> &[u8] {
        let skip = position.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.buffer.get(skip..self.filled)).unwrap_or_default()
    }

    /// Bytes of the file from `position` on.
    fn left(&self, position: u64) -> usize {
        usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX)
    }

    fn fill(&mut self, position: u64, bytes: usize) -> std::io::Result<()> {
        let kept = self.in_memory(position).len();
        self.buffer.copy_within(self.filled - kept..self.filled, 0);
        self.start = position;
        self.filled = kept;
        let wanted = bytes.max(CHUNK_BYTES).min(self.left(position));
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        self.file.seek(SeekFrom::Start(position.saturating_add(kept as u64)))?;
        while let Some(room) = self.buffer.get_mut(self.filled..wanted).filter(|room| !room.is_empty()) {
            match self.file.read(room) {
                Ok(0) => {
                    self.length = self.start.saturating_add(self.filled as u64);
                    break;
                }
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes_read.fetch_add((self.filled - kept) as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Position of the first `needle` at or behind `position`.
    ///
    /// The search ends behind `most_zeros` zeros in a row, as they follow the last record of a log: the rest of the file
    /// can be a gigabyte of them.
    pub(crate) fn find(
        &mut self,
        needle: &[u8],
        position: u64,
        most_zeros: u64,
    ) -> std::io::Result<Option<u64>> {
        let finder = memmem::Finder::new(needle);
        let mut position = position;
        let mut zeros = 0;
        loop {
            let bytes = self.at(position, needle.len())?;
            if bytes.len() < needle.len() {
                return Ok(None);
            }
            if let Some(at) = finder.find(bytes) {
                return Ok(Some(position.saturating_add(at as u64)));
            }
            zeros = if is_zero(bytes) { zeros + bytes.len() as u64 } else { 0 };
            if zeros >= most_zeros {
                return Ok(None);
            }
            // a needle can stand across the end of what is in memory
            position = position.saturating_add((bytes.len() - needle.len().saturating_sub(1)).max(1) as u64);
        }
    }

    /// Position behind the zeros that stand at `position`: of the first byte that is none, or the end of the file.
    pub(crate) fn skip_zeros(&mut self, position: u64) -> std::io::Result<u64> {
        let mut position = position;
        loop {
            let bytes = self.at(position, 1)?;
            if bytes.is_empty() {
                return Ok(position);
            }
            if !is_zero(bytes) {
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                return Ok(position.saturating_add(zeros as u64));
            }
            position = position.saturating_add(bytes.len() as u64);
        }
    }
}

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| ZEROS.starts_with(chunk))
}

#[cfg(test)]
#[path = "file_window_tests.rs"]
mod tests;
