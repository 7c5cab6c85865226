//! The logs of a broker group as files or crafted bytes give them, and the selection of what an answer holds.
//!
//! A log never knows how much of it is visible. Removed segments stay in memory but are never found again.

use super::segment::{Segment, Stream};
use super::visitor::Message;
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const READ_BYTES: u64 = 4 << 20;

/// The two logs of a broker group.
pub struct GroupLogs {
    /// Name of the broker group.
    pub name: String,
    pub(super) messages: Log,
    pub(super) actions: Log,
}

impl GroupLogs {
    /// Reads `messagelog/<20 digits>.seg.gz` and `actionlog/<20 digits>.seg.gz`, the used prefixes of segments. The
    /// group has the name of the directory.
    pub fn from_fixture(dir: &Path) -> Self {
        let name = dir.file_name().expect("a directory with a name").to_string_lossy().into_owned();
        let read = |folder| {
            segment_files(&dir.join(folder), ".seg.gz")
                .into_iter()
                .map(|(base, path)| {
                    let mut data = Vec::new();
                    let mut file = GzDecoder::new(File::open(&path).expect("a segment"));
                    file.read_to_end(&mut data).expect("gzip");
                    (base, data)
                })
                .collect()
        };
        Self::from_bytes(&name, read("messagelog"), read("actionlog"))
    }

    /// All groups of a fixture directory, by name.
    pub fn all_from_fixture(dir: &Path) -> Vec<Self> {
        let entries =
            std::fs::read_dir(dir).expect("a fixture directory").map(|entry| entry.expect("an entry").path());
        let mut groups: Vec<_> = entries.filter(|path| path.join("messagelog").is_dir()).collect();
        groups.sort();
        groups.iter().map(|path| Self::from_fixture(path)).collect()
    }

    /// Reads `messagelog/<20 digits>` and `actionlog/<20 digits>` of the store directory of a broker. Only the bytes in
    /// use are kept; the preallocated rest of the newest segment is not even read.
    pub fn from_store(name: &str, dir: &Path) -> Self {
        let messages = Log::from_files(Stream::Message, &dir.join("messagelog"));
        let actions = Log::from_files(Stream::Action, &dir.join("actionlog"));
        Self { name: name.to_owned(), messages, actions }
    }

    /// Takes segments as (base offset, used bytes), in order. All but the last of a log count as full, and the last one
    /// too when it ends with an end marker.
    pub fn from_bytes(
        name: &str,
        message_segments: Vec<(u64, Vec<u8>)>,
        action_segments: Vec<(u64, Vec<u8>)>,
    ) -> Self {
        let messages = Log::from_bytes(Stream::Message, message_segments);
        let actions = Log::from_bytes(Stream::Action, action_segments);
        Self { name: name.to_owned(), messages, actions }
    }

    /// End offsets of the message log and the action log.
    pub fn ends(&self) -> (u64, u64) {
        (self.messages.end(), self.actions.end())
    }

    /// Lowest offsets of the message log and the action log.
    pub fn minimums(&self) -> (u64, u64) {
        (self.messages.minimum, self.actions.minimum)
    }
}

/// Files named by base offset, in order.
fn segment_files(folder: &Path, suffix: &str) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let base = |path: &Path| -> Option<u64> {
        let digits = path.file_name()?.to_str()?.strip_suffix(suffix)?;
        (digits.len() == 20).then(|| digits.parse().ok())?
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = paths.filter_map(|path| base(&path).map(|base| (base, path))).collect();
    files.sort();
    files
}

/// A log: a row of segments.
pub(super) struct Log {
    pub(super) stream: Stream,
    pub(super) segments: Vec<Segment>,
    /// Lowest offset that was not removed by retention.
    pub(super) minimum: u64,
}

impl Log {
    fn new(stream: Stream, segments: Vec<Segment>) -> Self {
        assert!(segments.is_sorted_by_key(|segment| segment.base), "segments out of order");
        let minimum = segments.first().map_or(0, |segment| segment.base);
        Self { stream, segments, minimum }
    }

    fn from_bytes(stream: Stream, segments: Vec<(u64, Vec<u8>)>) -> Self {
        let last = segments.len().saturating_sub(1);
        let load = |(number, (base, data))| {
            let mut segment = Segment::new(stream, base);
            segment.data = data;
            segment.advance();
            finish(&mut segment, number == last);
            segment
        };
        Self::new(stream, segments.into_iter().enumerate().map(load).collect())
    }

    fn from_files(stream: Stream, folder: &Path) -> Self {
        let files = segment_files(folder, "");
        let last = files.len().saturating_sub(1);
        let load = |(number, (base, path)): (usize, (u64, PathBuf))| {
            let mut segment = Segment::new(stream, base);
            let mut file = File::open(&path).expect("a segment");
            while read_more(&mut file, &mut segment.data) && segment.advance() {}
            if number < last || segment.marker {
                read_rest(&mut file, &mut segment.data);
                let used = segment.data.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                segment.data.truncate(used.max(segment.walked));
            } else {
                segment.data.truncate(segment.walked);
            }
            finish(&mut segment, number == last);
            segment.data.shrink_to_fit();
            segment
        };
        Self::new(stream, files.into_iter().enumerate().map(load).collect())
    }

    /// Adds bytes at the end: to the last segment, or to a new one when that is full.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let size = self.stream.segment_bytes();
        if self.segments.last().is_none_or(|segment| segment.full) {
            let base = self.segments.last().map_or(self.minimum, |segment| segment.base + size);
            self.segments.push(Segment::new(self.stream, base));
        }
        let segment = self.segments.last_mut().expect("just pushed");
        segment.data.extend_from_slice(bytes);
        segment.advance();
        finish(segment, false);
        segment.full = segment.marker || segment.data.len() as u64 == size;
    }

    pub(super) fn end(&self) -> u64 {
        self.segments.last().map_or(self.minimum, |segment| segment.base + segment.written())
    }

    /// The segment an offset is looked for in, the position there and the visible bytes of the segment.
    fn locate(&self, offset: u64, visible: u64) -> Option<(&Segment, u64, u64)> {
        let size = self.stream.segment_bytes();
        let oldest = self.segments.partition_point(|segment| segment.base + size <= self.minimum);
        // A file that holds nothing visible does not exist yet, except the oldest.
        let exists = |segment: &&Segment| segment.base <= offset && segment.base < visible;
        let there = self.segments.get(oldest..)?;
        let segment =
            there.iter().rev().find(exists).or_else(|| there.first().filter(|s| s.base <= offset))?;
        if offset.is_multiple_of(size) && segment.base != offset {
            return None;
        }
        Some((segment, offset % size, visible.saturating_sub(segment.base).min(segment.written())))
    }

    /// Start of the request after the minimum is applied; negative offsets mean the minimum.
    fn start(&self, requested: i64) -> u64 {
        u64::try_from(requested).unwrap_or(0).max(self.minimum)
    }

    /// Types 1 and 2: appends raw bytes and gives their offset, if there are any.
    pub(super) fn raw(&self, requested: i64, visible: u64, batch: usize, out: &mut Vec<u8>) -> Option<u64> {
        let (segment, pos, end) = self.locate(self.start(requested), visible)?;
        if pos >= end {
            return None;
        }
        segment.copy(pos, end.min(pos + batch as u64), out);
        Some(segment.base + pos)
    }

    /// Type 5: appends index records and gives where they start and the offset to ask for next; `None` where the
    /// broker would never answer.
    pub(super) fn index(
        &self,
        requested: i64,
        visible: u64,
        batch: usize,
        out: &mut Vec<u8>,
    ) -> Option<(u64, u64)> {
        let start = self.start(requested);
        let next = match self.locate(start, visible) {
            Some((segment, pos, end)) if pos < end => start - pos + segment.index(pos, end, batch, out)?,
            _ => start,
        };
        Some((start, next))
    }

    /// Calls `see` with the offset of each message that lies between two offsets as a whole.
    pub(super) fn messages(&self, from: u64, to: u64, mut see: impl FnMut(u64, &Message<'_>)) {
        for segment in &self.segments {
            let within = |offset: u64| offset.saturating_sub(segment.base).min(segment.written());
            for start in segment.starts(within(from), within(to)) {
                if let Some(message) = segment.message(u64::from(*start)) {
                    see(segment.base + u64::from(*start), &message);
                }
            }
        }
    }

    /// The message that starts at an offset.
    pub(super) fn message(&self, offset: u64) -> Option<Message<'_>> {
        let number = self.segments.partition_point(|segment| segment.base <= offset).checked_sub(1)?;
        let segment = self.segments.get(number)?;
        segment.message(offset - segment.base)
    }
}

fn finish(segment: &mut Segment, last: bool) {
    let size = segment.stream.segment_bytes();
    assert!(segment.data.len() as u64 <= size, "segment {} is too long", segment.base);
    segment.full = !last || segment.marker;
    let rest = segment.data.get(segment.walked..).unwrap_or_default();
    if !segment.full && rest.iter().all(|byte| *byte == 0) {
        // Preallocated, not written.
        segment.data.truncate(segment.walked);
    }
}

fn read_more(file: &mut File, data: &mut Vec<u8>) -> bool {
    file.take(READ_BYTES).read_to_end(data).expect("a readable segment") > 0
}

/// Reads to the end of the file without keeping zeros that nothing follows.
fn read_rest(file: &mut File, data: &mut Vec<u8>) {
    let (mut zeros, mut chunk) = (0, Vec::new());
    while {
        chunk.clear();
        read_more(file, &mut chunk)
    } {
        if chunk.iter().all(|byte| *byte == 0) {
            zeros += chunk.len();
            continue;
        }
        data.resize(data.len() + zeros, 0);
        zeros = 0;
        data.extend_from_slice(&chunk);
    }
}
