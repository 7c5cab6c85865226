//! Walking a log from segment to segment, in bounded memory.
//!
//! The rules for what is not a record:
//! - at the end of the last segment it is the torn tail or the zeros of a preallocated file: the log ends;
//! - unless a record that provably continues the log stands behind it: then the log is damaged;
//! - in any other segment it is damage.
//!
//! Damage stops the walk with file, offset and reason, or, when told so, is skipped up to the next record
//! that proves itself (magic, checksum or exact lengths, and order), else to the next segment.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::format::{LogFormat, Step};
use super::segments::{Segment, Segments};
use crate::codec::Sum;
use crate::error::{Error, Result};
use crate::file_window::{CHUNK_BYTES, FileWindow};
use crate::stream::Skipped;

/// Bytes in which a record is looked for first; most are smaller by far.
const LOOK_BYTES: usize = CHUNK_BYTES / 4;
/// Largest record that is believed; a greater length is damage.
const MAX_RECORD_BYTES: usize = 64 << 20;

/// How a log is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Go on behind damage and missing segments.
    pub skip_corrupt: bool,
    /// Counts bytes as they are read, for progress.
    pub bytes_read: Arc<AtomicU64>,
    /// What an earlier import read of the segment that holds the position, if that is known.
    pub seen: Option<Seen>,
}

/// What was read of a segment, so that the log is known again: a broker can lose the end of its log in a crash, and
/// write others there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Seen {
    /// Base of the segment.
    pub base: u64,
    /// The records from there on.
    pub sum: Sum,
}

/// Reads one log.
pub struct LogReader<F: LogFormat> {
    segments: Vec<Segment>,
    options: ReadOptions,
    /// What was passed over.
    pub skipped: Vec<Skipped>,
    /// Whole records without usable content.
    pub unusable: u64,
    /// What was read of the last segment.
    pub seen: Seen,
    is_compared: bool,
    progress: F::Progress,
}

/// Where a segment stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    is_first: bool,
    is_last: bool,
}

enum Ended {
    NextSegment,
    LogEnd(u64),
}

impl<F: LogFormat> LogReader<F> {
    /// A reader over checked segments.
    #[must_use]
    pub fn new(segments: &Segments, options: ReadOptions) -> Self {
        LogReader {
            segments: segments.list.clone(),
            options,
            skipped: Vec::new(),
            unusable: 0,
            seen: Seen::default(),
            is_compared: false,
            progress: F::Progress::default(),
        }
    }

    /// Calls `visit(offset, next offset, record)` for every record from `from` on, and returns the offset at
    /// which the log ends.
    ///
    /// Reading begins at the base of the segment that holds `from`, so that a position that is not between two
    /// records (a position of another log) is noticed, and other records than those that were read before.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Input`], or whatever `visit` returns.
    pub fn read(
        &mut self,
        from: u64,
        mut visit: impl FnMut(u64, u64, F::Record<'_>) -> Result<()>,
    ) -> Result<u64> {
        let segments = std::mem::take(&mut self.segments);
        let mut end = 0;
        // the segment that holds the position
        let mut expected = Some(from / F::SEGMENT_BYTES * F::SEGMENT_BYTES);
        for (index, segment) in segments.iter().enumerate() {
            let segment_end = segment.base + F::SEGMENT_BYTES;
            if segment_end <= from {
                continue;
            }
            if let Some(expected) = expected.filter(|expected| *expected != segment.base) {
                self.skip(segment, expected, segment.base, "segments are missing".to_owned());
            }
            let place = Place { is_first: index == 0, is_last: index + 1 == segments.len() };
            self.seen = Seen { base: segment.base, sum: Sum::default() };
            match self.read_segment(segment, place, from, &mut visit)? {
                Ended::NextSegment => end = segment_end,
                Ended::LogEnd(offset) => end = offset,
            }
            if end >= from {
                self.compare(segment, from)?;
            }
            expected = Some(segment_end);
        }
        if let Some(last) = segments.last().filter(|_| end < from) {
            return Err(Error::input(
                &last.path,
                format!(
                    "the {} ends at offset {end}, before {from}, up to which it was imported earlier: it is older, lost \
                     its end in a crash, was recreated, or belongs to another broker group. Import again once it is \
                     longer; to import all of it beside what is stored, move the position with `mqlake seek \
                     --broker-group … --stream {} --to start`, or use another --broker-group or --data",
                    F::NAME,
                    if F::FOLDER == "actionlog" { "action" } else { "message" }
                ),
            ));
        }
        self.segments = segments;
        Ok(end)
    }

    /// Compares what stands before the position with what was read there.
    fn compare(&mut self, segment: &Segment, from: u64) -> Result<()> {
        let is_compared = std::mem::replace(&mut self.is_compared, true);
        let other = self
            .options
            .seen
            .filter(|seen| !is_compared && seen.base == self.seen.base && *seen != self.seen);
        if other.is_none() {
            return Ok(());
        }
        Err(Error::input(
            &segment.path,
            format!(
                "the records before offset {from} are not those that were imported there: the broker lost the end of its {} \
                 in a crash and wrote others, or it is another log. To import all of it beside what is stored, move the \
                 position with `mqlake seek --broker-group … --stream {} --to start`, or use another --broker-group or \
                 --data",
                F::NAME,
                if F::FOLDER == "actionlog" { "action" } else { "message" }
            ),
        ))
    }

    fn read_segment(
        &mut self,
        segment: &Segment,
        place: Place,
        from: u64,
        visit: &mut impl FnMut(u64, u64, F::Record<'_>) -> Result<()>,
    ) -> Result<Ended> {
        let last = place.is_last;
        let mut window = FileWindow::open(&segment.path)
            .map_err(unreadable(segment))?
            .up_to(segment.bytes)
            .counted_by(self.options.bytes_read.clone());
        let mut position: u64 = 0;
        let mut look = LOOK_BYTES;
        loop {
            let limit = usize::try_from(F::SEGMENT_BYTES - position).unwrap_or(usize::MAX);
            let offset = segment.base + position;
            if offset == from {
                self.compare(segment, from)?;
            }
            // a longer look is for one record
            let look_here = std::mem::replace(&mut look, LOOK_BYTES);
            let bytes = window.at(position, look_here).map_err(unreadable(segment))?;
            let have = bytes.len();
            let damage = match F::step(bytes, limit) {
                Step::Record { record, size } => {
                    let next = offset + size as u64;
                    self.seen.sum.add(offset, bytes.get(..size).unwrap_or_default());
                    F::note(&mut self.progress, &record);
                    if offset >= from {
                        visit(offset, next, record)?;
                    } else if next > from {
                        return Err(foreign_position::<F>(segment, from));
                    }
                    position += size as u64;
                    continue;
                }
                Step::Unusable { size, reason } => {
                    self.seen.sum.add(offset, bytes.get(..size).unwrap_or_default());
                    if offset >= from {
                        tracing::warn!(file = %segment.path.display(), offset, reason, "record without usable content");
                        self.unusable += 1;
                    }
                    position += size as u64;
                    continue;
                }
                Step::EndOfSegment => return Ok(Ended::NextSegment),
                Step::ZeroRest if last => return Ok(Ended::LogEnd(offset)),
                Step::ZeroRest => return Ok(Ended::NextSegment),
                Step::Blank(start) if position == 0 => {
                    position = u64::from(start);
                    continue;
                }
                Step::Blank(_) => Some("a blank record in mid-segment".to_owned()),
                Step::Incomplete => None,
                Step::Invalid(reason) => Some(reason),
            };
            let reason = match damage {
                Some(reason) => reason,
                None if let Some(longer) = longer_look(&window, position, have) => {
                    look = longer;
                    continue;
                }
                None if last && is_zero_from(&mut window, segment, position)? => {
                    return Ok(Ended::LogEnd(offset));
                }
                None => "the file ends inside a record".to_owned(),
            };
            match self.behind_damage(&mut window, segment, place, position, from, reason)? {
                Some(next) => position = next,
                None if last => return Ok(Ended::LogEnd(offset)),
                None => return Ok(Ended::NextSegment),
            }
        }
    }

    /// Decides what bytes that are no record mean; returns the position to go on from, or `None` if nothing
    /// more comes in this segment.
    fn behind_damage(
        &mut self,
        window: &mut FileWindow,
        segment: &Segment,
        place: Place,
        position: u64,
        from: u64,
        reason: String,
    ) -> Result<Option<u64>> {
        let last = place.is_last;
        let next = self.find_provable(window, position + 1).map_err(unreadable(segment))?;
        if place.is_first
            && position == 0
            && let Some(first) = next
            && window.skip_zeros(0).map_err(unreadable(segment))? >= first
        {
            // a slave joined the log here; the zeros before its first record are no loss
            return Ok(next);
        }
        if next.is_none() && last && (!F::MAGIC.is_empty() || is_zero_from(window, segment, position)?) {
            return Ok(None);
        }
        let resume = next.unwrap_or(F::SEGMENT_BYTES);
        if segment.base + resume <= from {
            // an earlier import has passed it already
            return Ok(next);
        }
        if !self.options.skip_corrupt {
            return Err(Error::Corrupt {
                path: segment.path.display().to_string(),
                offset: segment.base + position,
                position,
                reason,
                next: (next.is_some() || !last).then_some(segment.base + resume),
            });
        }
        self.skip(segment, segment.base + position, segment.base + resume, reason);
        Ok(next)
    }

    fn skip(&mut self, segment: &Segment, from: u64, to: u64, reason: String) {
        tracing::warn!(file = %segment.path.display(), from, to, reason, "skipped");
        self.skipped.push(Skipped { file: segment.path.display().to_string(), from, to, reason });
    }

    fn find_provable(&self, window: &mut FileWindow, start: u64) -> io::Result<Option<u64>> {
        let Some(shared) = F::MAGIC.first().and_then(|magic| magic.get(..3)) else { return Ok(None) };
        let mut from = start;
        while let Some(position) = window.find(shared, from, u64::MAX)? {
            if self.is_provable(window, position)? {
                return Ok(Some(position));
            }
            from = position + 1;
        }
        Ok(None)
    }

    fn is_provable(&self, window: &mut FileWindow, position: u64) -> io::Result<bool> {
        let limit = usize::try_from(F::SEGMENT_BYTES - position).unwrap_or(usize::MAX);
        let mut look = LOOK_BYTES;
        loop {
            let bytes = window.at(position, look)?;
            let have = bytes.len();
            match F::step(bytes, limit) {
                Step::Record { record, .. } => return Ok(F::continues(&self.progress, &record)),
                Step::Incomplete => {}
                _ => return Ok(false),
            }
            match longer_look(window, position, have) {
                Some(longer) => look = longer,
                None => return Ok(false),
            }
        }
    }
}

/// In how many bytes a record is looked for that is longer than the `have` bytes there were; `None` if the file or the
/// limit on records has no more.
fn longer_look(window: &FileWindow, position: u64, have: usize) -> Option<usize> {
    let has_more = position + (have as u64) < window.length();
    (has_more && have < MAX_RECORD_BYTES).then(|| (have.max(CHUNK_BYTES) * 2).min(MAX_RECORD_BYTES))
}

/// Whether nothing but zeros stands from `position` on.
fn is_zero_from(window: &mut FileWindow, segment: &Segment, position: u64) -> Result<bool> {
    let end = window.skip_zeros(position).map_err(unreadable(segment))?;
    Ok(end >= window.length())
}

fn unreadable(segment: &Segment) -> impl Fn(io::Error) -> Error + '_ {
    |error| Error::input(&segment.path, format!("cannot be read: {error}"))
}

fn foreign_position<F: LogFormat>(segment: &Segment, from: u64) -> Error {
    Error::input(
        &segment.path,
        format!(
            "the position {from} reached by an earlier import lies inside a record: this is not the same {} \
             (another broker group, or the broker's log was recreated). Use another --broker-group or --data",
            F::NAME
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brokers::qmq::store::format::ActionFormat;

    #[test]
    fn a_log_that_was_cut_since_it_was_listed_ends_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("00000000000000000000");
        // a record is begun
        std::fs::write(&path, b"\xC3\xB2\xA1\x00").unwrap();
        let segment = Segment { base: 0, path, bytes: 3 * CHUNK_BYTES as u64 };
        let segments = Segments { folder: folder.path().to_owned(), list: vec![segment] };
        let mut reader = LogReader::<ActionFormat>::new(&segments, ReadOptions::default());
        assert_eq!(reader.read(0, |_, _, _| Ok(())).unwrap(), 0);
    }
}
