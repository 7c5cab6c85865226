//! One segment of a broker's log: its bytes, where its records end, and for messages the answers of sync type 5,
//! made once when the bytes arrive.
//!
//! It never knows how much of the segment is visible; each call gives it.

use mqlake::codec::cursor::Short;

use super::visitor::{ActionStep, Entry, MIN_MESSAGE_BYTES, Message, Step, action, entry, step};

/// Messages that one type 5 answer looks at.
const MAX_LOOKED_AT: usize = 5000;

/// Which of the two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The message log, segments of 1 GiB.
    Message,
    /// The action log, segments of 100 MiB.
    Action,
}

impl Stream {
    /// Size of a segment in bytes.
    pub const fn segment_bytes(self) -> u64 {
        match self {
            Self::Message => 1 << 30,
            Self::Action => 104_857_600,
        }
    }
}

enum Special {
    Skipped { room: usize },
    Poison,
}

/// Records of a message segment in order: where they are, and their index records back to back.
struct Index {
    starts: Vec<u32>,
    ends: Vec<u32>,
    /// Bytes of `blob` before each record, and its length at last.
    before: Vec<usize>,
    blob: Vec<u8>,
    /// Records without an index record, by number.
    special: Vec<(usize, Special)>,
}

impl Index {
    fn push(&mut self, start: usize, end: usize, special: Option<Special>) {
        if let Some(special) = special {
            self.special.push((self.starts.len(), special));
        }
        self.starts.push(start as u32);
        self.ends.push(end as u32);
        self.before.push(self.blob.len());
    }

    fn message(&mut self, start: usize, message: &Message<'_>) {
        let special = match entry(message.payload) {
            Ok(Entry::Skipped { room }) => Some(Special::Skipped { room }),
            Ok(record) => {
                record.write(message.sequence, &mut self.blob);
                None
            }
            Err(Short) => Some(Special::Poison),
        };
        self.push(start, message.next, special);
    }
}

/// A segment file.
pub(super) struct Segment {
    pub(super) stream: Stream,
    pub(super) base: u64,
    /// The used bytes; what follows in a full segment is zero.
    pub(super) data: Vec<u8>,
    /// Position after the last record that could be walked.
    pub(super) walked: usize,
    /// Whether an end marker was met.
    pub(super) marker: bool,
    /// Whether the broker has finished the segment; then all of it counts as written.
    pub(super) full: bool,
    index: Index,
    points: Vec<(i64, u32)>,
    reported: u64,
}

impl Segment {
    pub(super) fn new(stream: Stream, base: u64) -> Self {
        assert_eq!(base % stream.segment_bytes(), 0, "{base} is not a segment base");
        let index = Index {
            starts: Vec::new(),
            ends: Vec::new(),
            before: vec![0],
            blob: Vec::new(),
            special: Vec::new(),
        };
        Self {
            stream,
            base,
            data: Vec::new(),
            walked: 0,
            marker: false,
            full: false,
            index,
            points: Vec::new(),
            reported: 0,
        }
    }

    /// Bytes written, the padding of a full segment included.
    pub(super) fn written(&self) -> u64 {
        if self.full { self.stream.segment_bytes() } else { self.data.len() as u64 }
    }

    /// Walks on over bytes that were added. Whether more bytes could help.
    pub(super) fn advance(&mut self) -> bool {
        match self.stream {
            Stream::Message => self.advance_messages(),
            Stream::Action => self.advance_actions(),
        }
    }

    fn advance_messages(&mut self) -> bool {
        loop {
            match step(&self.data, self.walked) {
                Step::Message(message) => {
                    self.index.message(self.walked, &message);
                    self.points.push((message.stored_ms, message.next as u32));
                    self.walked = message.next;
                }
                Step::Blank(next) if next <= self.data.len() => {
                    self.index.push(self.walked, next, Some(Special::Skipped { room: 0 }));
                    self.points.push((0, next as u32));
                    self.walked = next;
                }
                Step::Skip { marker } => {
                    self.marker |= marker;
                    return false;
                }
                Step::More => return true,
                Step::Blank(_) | Step::Poison => return false,
            }
        }
    }

    fn advance_actions(&mut self) -> bool {
        loop {
            match action(&self.data, self.walked) {
                Ok(ActionStep::Record { time_ms, next }) if next <= self.data.len() => {
                    self.points.push((time_ms, next as u32));
                    self.walked = next;
                }
                Ok(ActionStep::Marker) => {
                    self.marker = true;
                    return false;
                }
                Ok(ActionStep::Record { .. }) | Err(Short) => return true,
                Ok(ActionStep::Bad) => return false,
            }
        }
    }

    /// Where records end that were not reported yet, with their times; the last point is the end of what is written.
    pub(super) fn take_points(&mut self) -> Vec<(i64, u32)> {
        let mut points = std::mem::take(&mut self.points);
        let written = self.written();
        let last = points.last().map_or(self.reported, |(_, end)| u64::from(*end));
        if last < written {
            points.push((points.last().map_or(0, |(time, _)| *time), written as u32));
        }
        self.reported = written;
        points
    }

    /// Appends the bytes of a range of the segment.
    pub(super) fn copy(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        let (from, to) = (from as usize, to as usize);
        let length = out.len() + to - from;
        out.extend_from_slice(self.data.get(from..to.min(self.data.len())).unwrap_or_default());
        out.resize(length, 0);
    }

    /// The message that starts at a position.
    pub(super) fn message(&self, pos: u64) -> Option<Message<'_>> {
        match step(&self.data, pos as usize) {
            Step::Message(message) => Some(message),
            _ => None,
        }
    }

    /// Start positions of the records between two positions.
    pub(super) fn starts(&self, from: u64, to: u64) -> &[u32] {
        let first = self.index.starts.partition_point(|start| u64::from(*start) < from);
        let last = self.index.ends.partition_point(|end| u64::from(*end) <= to);
        self.index.starts.get(first..last).unwrap_or_default()
    }

    /// Appends the type 5 records from a position on, of which `visible` bytes of the segment can be seen.
    /// The next position, or `None` where the broker would never answer.
    pub(super) fn index(&self, pos: u64, visible: u64, batch: usize, out: &mut Vec<u8>) -> Option<u64> {
        let index = &self.index;
        let Ok(first) = index.starts.binary_search(&(pos as u32)) else {
            return self.walk(pos, visible, batch, out);
        };
        let seen = index.ends.partition_point(|end| u64::from(*end) <= visible);
        let used = |record: usize| index.before[record] - index.before[first];
        let stop = seen.min(first + MAX_LOOKED_AT).max(first);
        let mut last =
            first + index.before[first + 1..=stop].partition_point(|end| end - index.before[first] <= batch);
        let from = index.special.partition_point(|(record, _)| *record < first);
        for (record, special) in index.special[from..].iter().take_while(|(record, _)| *record < last) {
            match special {
                Special::Poison => return None,
                Special::Skipped { room } if used(*record) + room > batch => {
                    last = *record;
                    break;
                }
                Special::Skipped { .. } => {}
            }
        }
        let mut next = if last > first { u64::from(index.ends[last - 1]) } else { pos };
        if last == seen && last - first < MAX_LOOKED_AT {
            // An end marker, bad bytes or a record that is not complete: emits nothing.
            next = self.walk(next, visible, 0, &mut Vec::new())?;
        }
        out.extend_from_slice(&index.blob[index.before[first]..index.before[last]]);
        Some(next)
    }

    /// The same record by record, for positions that are no record start.
    pub(super) fn walk(&self, pos: u64, visible: u64, batch: usize, out: &mut Vec<u8>) -> Option<u64> {
        let data = &self.data[..self.data.len().min(visible as usize)];
        let (mut pos, visible, mut used) = (pos as usize, visible as usize, 0);
        for _ in 0..MAX_LOOKED_AT {
            let zeros = visible > self.data.len() && visible.saturating_sub(pos) >= MIN_MESSAGE_BYTES;
            match step(data, pos) {
                Step::More if !zeros => break,
                Step::More | Step::Skip { .. } => return Some(visible as u64),
                Step::Blank(next) => pos = next,
                Step::Poison => return None,
                Step::Message(message) => {
                    let entry = entry(message.payload).ok()?;
                    if used + entry.room() > batch {
                        break;
                    }
                    if matches!(entry, Entry::Record { .. }) {
                        used += entry.room();
                    }
                    entry.write(message.sequence, out);
                    pos = message.next;
                }
            }
        }
        Some(pos as u64)
    }
}
