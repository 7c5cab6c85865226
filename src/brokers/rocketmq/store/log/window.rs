//! A stretch of a file in memory, moved forward as it is asked for.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use memchr::memmem;

use super::files::is_zero;
use crate::brokers::rocketmq::format::record::{MAGIC_V1, MAGIC_V2};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// As many zeros end a search that is told to stop at zeros. Larger than a whole record of a broker with default
/// limits, so that no more than one record can hide behind fewer.
const ZERO_RUN_BYTES: u64 = 8 << 20;

/// A read-only file with the part of it that is in memory. Positions are positions in the file.
#[derive(Debug)]
pub(super) struct Window {
    file: File,
    length: u64,
    buffer: Vec<u8>,
    /// Position of the first byte in memory.
    start: u64,
    /// Bytes in memory.
    filled: usize,
}

impl Window {
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, buffer: Vec::new(), start: 0, filled: 0 })
    }

    /// Bytes of the file when it was opened, or fewer if it was cut since.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Forgets what is in memory, so that it is read again: a running broker may have written it since.
    pub(super) const fn forget(&mut self) {
        self.filled = 0;
    }

    /// What is in memory from `position` on: at least `bytes`, or up to the end of the file.
    ///
    /// `bytes` is room that is made, so it must not come from the file unchecked.
    pub(super) fn at(&mut self, position: u64, bytes: usize) -> std::io::Result<&[u8]> {
        let bytes = usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX).min(bytes);
        if self.in_memory(position).len() < bytes {
            self.fill(position, bytes)?;
        }
        Ok(self.in_memory(position))
    }

    /// What is in memory from `position` on.
    pub(super) fn in_memory(&self, position: u64) -> &[u8] {
        let skip = position.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.buffer.get(skip..self.filled)).unwrap_or_default()
    }

    fn fill(&mut self, position: u64, bytes: usize) -> std::io::Result<()> {
        let kept = self.in_memory(position).len();
        self.buffer.copy_within(self.filled - kept..self.filled, 0);
        self.start = position;
        self.filled = kept;
        let left = usize::try_from(self.length.saturating_sub(position)).unwrap_or(usize::MAX);
        let wanted = bytes.max(CHUNK_BYTES).min(left);
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
        Ok(())
    }

    /// Position of the first magic of a record at or behind `position`.
    ///
    /// With `stop_at_zeros` the search ends behind a long run of zeros, as it follows the last record of a log: the
    /// rest of the file can be a gigabyte of them.
    pub(super) fn find_magic(&mut self, position: u64, stop_at_zeros: bool) -> std::io::Result<Option<u64>> {
        const MAGIC_BYTES: usize = 4;
        let (first, second) = (MAGIC_V1.to_be_bytes(), MAGIC_V2.to_be_bytes());
        let [common @ .., _] = first;
        let finder = memmem::Finder::new(&common);
        let mut position = position;
        let mut zeros = 0;
        loop {
            let bytes = self.at(position, MAGIC_BYTES)?;
            if bytes.len() < MAGIC_BYTES {
                return Ok(None);
            }
            for at in finder.find_iter(bytes) {
                let magic = bytes.get(at..at + MAGIC_BYTES);
                if magic == Some(&first) || magic == Some(&second) {
                    return Ok(Some(position.saturating_add(at as u64)));
                }
            }
            zeros = if is_zero(bytes) { zeros + bytes.len() as u64 } else { 0 };
            if stop_at_zeros && zeros >= ZERO_RUN_BYTES {
                return Ok(None);
            }
            // a magic can stand across the end of what is in memory
            position = position.saturating_add((bytes.len() - (MAGIC_BYTES - 1)) as u64);
        }
    }
}
