//! Segment files: their header, creating, deleting, and reading them frame by frame.
//!
//! Each function works on one file; none decides what a bad frame means for the spool.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, copy, take};
use crate::error::{Error, Result};

/// Bytes of a segment before its first frame.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 32;

const HEADER: usize = SEGMENT_HEADER_BYTES as usize;
const MAGIC: [u8; 8] = *b"MQLSPOOL";
const VERSION: u32 = 1;
const SUFFIX: &str = ".spool";
const NEW_FILE: &str = "segment.tmp";

/// Bytes read from a file at once, unless a frame is larger.
const CHUNK: usize = 1 << 20;

/// The first bytes of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) generation: u64,
    pub(super) start: u64,
}

/// Result of decoding a segment header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Sound(SegmentHeader),
    /// A sound header of this unknown version.
    Unknown(u32),
    Damaged,
}

impl SegmentHeader {
    pub(super) fn encode(self) -> [u8; HEADER] {
        let (version, generation, start) =
            (VERSION.to_be_bytes(), self.generation.to_be_bytes(), self.start.to_be_bytes());
        let mut fields = [0; HEADER - 4];
        copy(&mut fields, MAGIC.iter().chain(&version).chain(&generation).chain(&start));
        let crc = crc32fast::hash(&fields).to_be_bytes();
        let mut header = [0; HEADER];
        copy(&mut header, fields.iter().chain(&crc));
        header
    }

    pub(super) fn decode(bytes: &[u8]) -> Decoded {
        Self::fields(bytes).unwrap_or(Decoded::Damaged)
    }

    fn fields(bytes: &[u8]) -> Option<Decoded> {
        let crc = crc32fast::hash(bytes.get(..HEADER - 4)?);
        let mut rest = bytes;
        let magic = take::<8>(&mut rest)?;
        let version = u32::from_be_bytes(take(&mut rest)?);
        let generation = u64::from_be_bytes(take(&mut rest)?);
        let start = u64::from_be_bytes(take(&mut rest)?);
        if magic != MAGIC || crc != u32::from_be_bytes(take(&mut rest)?) {
            return None;
        }
        Some(if version == VERSION {
            Decoded::Sound(Self { generation, start })
        } else {
            Decoded::Unknown(version)
        })
    }
}

/// Path of the segment that starts at `start`.
pub(super) fn path_of(folder: &Path, start: u64) -> PathBuf {
    folder.join(format!("{start:020}{SUFFIX}"))
}

/// The start position in a file name, if it is the name of a segment.
pub(super) fn start_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Writes a segment without frames under a temporary name and syncs it.
///
/// [`install`] renames it, so that no segment ever exists without a whole header.
pub(super) fn prepare(folder: &Path, header: SegmentHeader) -> Result<File> {
    let path = folder.join(NEW_FILE);
    clear(folder)?;
    let write = || {
        let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        file.write_all(&header.encode())?;
        file.sync_all()?;
        Ok(file)
    };
    write().map_err(|source| failed(&path, "begin a segment", &source))
}

/// Renames the prepared segment, replacing a segment with the same start. The directory is not synced.
pub(super) fn install(folder: &Path, start: u64) -> Result<PathBuf> {
    let path = path_of(folder, start);
    fs::rename(folder.join(NEW_FILE), &path)
        .map_err(|source| failed(&path, "name a new segment", &source))?;
    Ok(path)
}

/// Removes the file that an interrupted [`prepare`] left behind.
pub(super) fn clear(folder: &Path) -> Result<()> {
    let path = folder.join(NEW_FILE);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(&path, "remove", &source)),
        _ => Ok(()),
    }
}

/// Deletes a segment and syncs the directory, so that deletions reach the disk in their order.
pub(super) fn delete(folder: &Path, path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|source| failed(path, "delete the segment", &source))?;
    sync_folder(folder)
}

/// Syncs the entries of a directory.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| failed(folder, "sync the directory", &source))
}

/// Cuts a segment down to `bytes` and syncs it.
pub(super) fn cut(file: &File, path: &Path, bytes: u64) -> Result<()> {
    file.set_len(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|source| failed(path, "cut off the tail", &source))
}

/// The error of a failed file operation, with advice for the operator.
pub(super) fn failed(path: &Path, doing: &str, source: &io::Error) -> Error {
    let advice = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free space on this disk, or give the spool a lower limit, and try again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let this user write to the spool's folder"
        }
        _ => "check the disk and that nothing else changes the spool's folder",
    };
    Error::input(path, format!("cannot {doing}: {source}; {advice}"))
}

/// The next part of a segment.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// A frame with the right checksum.
    Frame(FrameHeader, &'a [u8]),
    /// The end of the readable bytes.
    End,
    /// Bytes that are no sound frame, with the reason.
    Bad(String),
}

/// Reads one segment file forwards in large chunks.
#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are consumed.
    head: usize,
    position: u64,
}

impl Cursor {
    /// Opens a segment to read it from byte `position`.
    pub(super) fn open(path: &Path, position: u64) -> Result<Self> {
        let open = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(position))?;
            Ok(file)
        };
        let file = open().map_err(|source| failed(path, "open the segment", &source))?;
        Ok(Self { file, path: path.to_owned(), buffer: Vec::new(), head: 0, position })
    }

    /// Position in the file at which [`peek`](Self::peek) reads.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The frame at the position. Reads no byte of the file at or after `limit`.
    pub(super) fn peek(&mut self, limit: u64) -> Result<Step<'_>> {
        if self.position >= limit {
            return Ok(Step::End);
        }
        let header = match FrameHeader::decode(self.bytes(FRAME_HEADER_BYTES, limit)?) {
            Ok(header) => header,
            Err(reason) => return Ok(Step::Bad(reason)),
        };
        let frame = self.bytes(header.frame_bytes(), limit)?;
        let payload = frame.get(FRAME_HEADER_BYTES..header.frame_bytes());
        Ok(match payload {
            None => Step::Bad("ends inside a frame".to_owned()),
            Some(payload) if header.fits(payload) => Step::Frame(header, payload),
            Some(_) => Step::Bad("the checksum of the frame is wrong".to_owned()),
        })
    }

    /// Advances by `bytes`, which [`peek`](Self::peek) or [`bytes`](Self::bytes) must have returned before.
    pub(super) fn advance(&mut self, bytes: usize) {
        let bytes = bytes.min(self.buffer.len() - self.head);
        self.head += bytes;
        self.position += bytes as u64;
    }

    /// The bytes at the position: at least `wanted`, unless `limit` or the end of the file comes first.
    pub(super) fn bytes(&mut self, wanted: usize, limit: u64) -> Result<&[u8]> {
        let unread = limit.saturating_sub(self.position + (self.buffer.len() - self.head) as u64);
        if self.buffer.len() - self.head < wanted && unread > 0 {
            self.fill(wanted, unread)?;
        }
        Ok(self.buffer.get(self.head..).unwrap_or_default())
    }

    fn fill(&mut self, wanted: usize, unread: u64) -> Result<()> {
        self.buffer.drain(..self.head);
        self.head = 0;
        if wanted <= CHUNK {
            // do not keep the memory of one huge frame
            self.buffer.shrink_to(4 * CHUNK);
        }
        let have = self.buffer.len();
        // a length from a damaged header must not allocate more than the rest of the file
        let more = unread.min((wanted.max(CHUNK) - have) as u64);
        self.buffer.reserve(usize::try_from(more).unwrap_or(CHUNK));
        let read = (&self.file).take(more).read_to_end(&mut self.buffer);
        read.map_err(|source| failed(&self.path, "read the segment", &source))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_header_comes_back_unless_changed() {
        let header = SegmentHeader { generation: 3, start: u64::MAX };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Decoded::Sound(header));
        for at in 0..bytes.len() {
            let mut bad = bytes;
            bad[at] ^= 0x10;
            assert_eq!(SegmentHeader::decode(&bad), Decoded::Damaged);
            assert_eq!(SegmentHeader::decode(&bytes[..at]), Decoded::Damaged);
        }
    }

    #[test]
    fn a_sound_header_of_another_version_is_recognized() {
        let mut bytes = SegmentHeader { generation: 0, start: 9 }.encode();
        bytes[11] = 2;
        let crc = crc32fast::hash(&bytes[..28]).to_be_bytes();
        bytes[28..].copy_from_slice(&crc);
        assert_eq!(SegmentHeader::decode(&bytes), Decoded::Unknown(2));
    }

    #[test]
    fn only_segment_names_are_segments() {
        let folder = Path::new("f");
        for start in [0, 42, u64::MAX] {
            let path = path_of(folder, start);
            assert_eq!(path.file_name().and_then(|name| name.to_str()).and_then(start_of), Some(start));
        }
        for name in
            ["lock", "1.spool", "segment.tmp", "99999999999999999999.spool", "+0000000000000000001.spool"]
        {
            assert_eq!(start_of(name), None, "{name}");
        }
    }
}
