//! Walking a commit log from record to record, in bounded memory.
//!
//! Bytes that are not a sound record are judged by what follows them:
//! - zeros followed only by zeros are the end of the log;
//! - bytes in the last file with no sound record behind them are its torn tail;
//! - sound but clearly older records in the last file are remains that a recovery of the broker left, unless their
//!   queue offsets continue: then the broker's clock was set back;
//! - a last record whose topic or properties are not there yet waits until it is complete or others follow it;
//! - everything else is damage. It is reported and skipped, up to the next record that proves itself by magic, position
//!   and checksum, or else to the next file.
//!
//! The broker may be writing while the log is read. So bytes that do not fit what was read behind them are read once
//! more before they are called damaged.

use super::error::Error;
use super::files;
use super::files::LogFile;
use super::item::{Damage, DamageReason, EndReason, Event, Item};
use super::open_file::{Age, MARKER_BYTES, OpenFile, Search, Sound};
use super::queue_ends::QueueEnds;
use super::walk_options::WalkOptions;
use crate::brokers::rocketmq::format::record::MAGIC_BLANK;
use crate::brokers::rocketmq::format::{RecordError, record};

/// A walk over a commit log.
#[derive(Debug)]
pub struct Walker {
    files: Vec<LogFile>,
    /// Bytes of a whole file.
    file_bytes: u64,
    options: WalkOptions,
    /// Index of the file being read.
    index: usize,
    /// The file being read, once it is open.
    file: Option<OpenFile>,
    /// Position in that file.
    position: u64,
    /// Where the file being read should begin; if files are missing, it begins later.
    expected: Option<u64>,
    /// Where the log ends if there is no further file.
    end: u64,
    /// An event to return before anything else.
    pending: Option<Event>,
    /// Store time of the last record.
    last_stored: Option<i64>,
    /// The last file that holds anything but zeros, once it was needed.
    last_with_data: Option<usize>,
    /// The offset last found unsound, and the result of the search behind it.
    suspect: Option<(u64, Search)>,
    done: bool,
}

/// Result of a step.
enum Step {
    /// A sound record of this many bytes at the current position.
    Record(usize),
    /// Something to report.
    Event(Event),
    /// Nothing to return: take another step.
    Again,
}

impl Walker {
    pub(super) fn new(files: Vec<LogFile>, options: WalkOptions) -> Result<Self, Error> {
        let start = files.first().map_or(0, |file| file.start);
        let from = options.from.unwrap_or(start);
        let mut walker = Self {
            file_bytes: files.iter().map(|file| file.bytes).max().unwrap_or(0),
            files,
            options,
            index: 0,
            file: None,
            position: 0,
            expected: None,
            end: from,
            pending: None,
            last_stored: options.last_stored,
            last_with_data: None,
            suspect: None,
            done: false,
        };
        walker.seek(from)?;
        Ok(walker)
    }

    fn seek(&mut self, from: u64) -> Result<(), Error> {
        if let Some(first) = self.files.first().filter(|first| from < first.start) {
            self.pending = Some(Event::Lost { from, to: first.start });
            return Ok(());
        }
        let behind = self.files.partition_point(|file| file.start <= from);
        let Some(file) = behind.checked_sub(1).and_then(|index| self.files.get(index)) else { return Ok(()) };
        let end_of_bytes = file.start.saturating_add(file.bytes);
        let end_of_file = self.end_of_file(behind - 1);
        if behind == self.files.len() && from > end_of_bytes && from != end_of_file {
            return Err(Error::BeyondEnd { offset: from, end: end_of_bytes });
        }
        if from < end_of_file {
            self.index = behind - 1;
            self.position = from - file.start;
        } else {
            self.index = behind;
            self.expected = Some(from);
        }
        Ok(())
    }

    /// The next record or event; `None` once [`Event::End`] was given.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Rewritten`] instead of the first record.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, Error> {
        if self.done {
            return Ok(None);
        }
        let size = loop {
            match self.step()? {
                Step::Record(size) => break size,
                Step::Again => {}
                Step::Event(event) => {
                    self.done = matches!(event, Event::End { .. });
                    return Ok(Some(Item::Event(event)));
                }
            }
        };
        let (position, offset) = (self.position, self.offset());
        self.position = position.saturating_add(size as u64);
        // it was decoded before; only the borrow could not be kept
        let bytes = self.file.as_ref().map(|file| file.in_memory(position)).unwrap_or_default();
        Ok(record::decode(bytes).ok().map(|record| Item::Record { position: offset, record }))
    }

    /// Physical offset of the current position.
    fn offset(&self) -> u64 {
        self.files.get(self.index).map_or(self.end, |file| file.start.saturating_add(self.position))
    }

    /// Physical offset behind a whole file.
    fn end_of_file(&self, index: usize) -> u64 {
        let end = self
            .files
            .get(index)
            .map_or(self.end, |file| file.start.saturating_add(file.bytes.max(self.file_bytes)));
        self.files.get(index.saturating_add(1)).map_or(end, |next| end.min(next.start))
    }

    fn step(&mut self) -> Result<Step, Error> {
        if let Some(event) = self.pending.take() {
            return Ok(Step::Event(event));
        }
        let position = self.position;
        let Some(file) = &mut self.file else { return self.open() };
        let Some(head) = file.head(position)? else { return Ok(self.end_file(None)) };
        let [size @ .., m0, m1, m2, m3] = head;
        if u32::from_be_bytes([m0, m1, m2, m3]) == MAGIC_BLANK {
            return Ok(self.end_file(Some(i32::from_be_bytes(size))));
        }
        if head == [0; MARKER_BYTES] {
            return self.unsound(DamageReason::Zeros);
        }
        let sound = match file.check(position)? {
            Ok(sound) => sound,
            Err(error) => return self.unsound(error.into()),
        };
        let end = |at, reason| Ok(Step::Event(Event::End { at, reason }));
        if sound.is_unfinished && self.is_last(sound)? {
            return end(self.offset(), EndReason::Torn(RecordError::Unfinished));
        }
        if self.last_stored.is_some_and(|last| sound.stored < last) && self.is_remains(sound)? {
            return end(self.offset(), EndReason::Stale);
        }
        let Some(file) = &mut self.file else { return Ok(Step::Again) };
        // a look ahead may have moved the window
        file.load(position, sound.size)?;
        self.last_stored = Some(sound.stored);
        Ok(Step::Record(sound.size))
    }

    /// Whether nothing follows this record.
    fn is_last(&mut self, sound: Sound) -> Result<bool, Error> {
        if self.age()?.live_up_to == u64::MAX {
            return Ok(false);
        }
        let behind = self.position.saturating_add(sound.size as u64);
        let Some(file) = &mut self.file else { return Ok(true) };
        let is_marked = matches!(
            file.head(behind)?,
            Some([.., m0, m1, m2, m3]) if u32::from_be_bytes([m0, m1, m2, m3]) == MAGIC_BLANK
        );
        Ok(!is_marked && file.check(behind)?.is_err())
    }

    /// Whether the older record here begins the remains that a recovery of the broker left. If its queues continue with
    /// it, the broker's clock was set back instead.
    fn is_remains(&mut self, sound: Sound) -> Result<bool, Error> {
        let (age, position) = (self.age()?, self.position);
        let Some(file) = &mut self.file else { return Ok(false) };
        let Some(end) = file.remains(position, sound, age)? else { return Ok(false) };
        let mut ends = QueueEnds::default();
        // the file before, too: the clock can be set back where a file begins
        let before = self.index.checked_sub(1).and_then(|index| self.files.get(index));
        if let Some(before) = before
            && let Ok(mut opened) = OpenFile::open(before)
        {
            opened.note_ends(opened.length(), &mut ends)?;
        }
        file.note_ends(position, &mut ends)?;
        Ok(!file.continues(position, end, ends)?)
    }

    /// Opens the current file, or ends the walk.
    fn open(&mut self) -> Result<Step, Error> {
        let Some(file) = self.files.get(self.index) else {
            return Ok(Step::Event(Event::End { at: self.end, reason: EndReason::EndOfFiles }));
        };
        match OpenFile::open(file) {
            Ok(opened) => {
                self.file_bytes = self.file_bytes.max(opened.length());
                self.file = Some(opened);
                let missing = self.expected.take().filter(|expected| *expected < file.start);
                Ok(missing
                    .map_or(Step::Again, |from| Step::Event(Event::MissingFiles { from, to: file.start })))
            }
            // the broker deleted it since it was listed
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.end = self.expected.unwrap_or(self.offset());
                self.leave_file(self.end);
                Ok(Step::Again)
            }
            Err(error) => Err(Error::io(&file.path)(error)),
        }
    }

    /// Moves to the next file, which should begin at `expected`.
    fn leave_file(&mut self, expected: u64) {
        self.expected = Some(expected);
        self.index += 1;
        self.position = 0;
        self.file = None;
    }

    /// Ends a file at its marker, whose size is given, or where it has no bytes left.
    fn end_file(&mut self, marker: Option<i32>) -> Step {
        let Some(LogFile { start, path, .. }) = self.files.get(self.index).cloned() else {
            return Step::Again;
        };
        let here = self.offset();
        let end_of_file = self.end_of_file(self.index);
        let end_of_bytes = start.saturating_add(self.file.as_ref().map_or(0, OpenFile::length));
        let is_right =
            |size: i32| u64::try_from(size).is_ok_and(|size| here.saturating_add(size) == end_of_file);
        let is_cut = marker.is_none() && end_of_bytes < end_of_file;
        let has_next = self.index + 1 < self.files.len();
        // without a marker that says so, the file may still grow
        self.end = if marker.is_some_and(is_right) { end_of_file } else { here };
        self.leave_file(end_of_file);
        Step::Event(match (is_cut, has_next) {
            (true, true) => Event::Damage(Damage {
                file: path,
                offset: here,
                reason: DamageReason::Cut,
                skipped_to: end_of_file,
            }),
            (true, false) => Event::End { at: here, reason: EndReason::Cut },
            (false, _) => Event::EndOfFile {
                start,
                next: end_of_file,
                wrong_marker: marker.filter(|size| !is_right(*size)),
            },
        })
    }

    /// Judges bytes that are not a sound record.
    fn unsound(&mut self, reason: DamageReason) -> Result<Step, Error> {
        let (here, position) = (self.offset(), self.position);
        let age = self.age()?;
        let end = |reason| Ok(Step::Event(Event::End { at: here, reason }));
        if reason == DamageReason::Zeros && here >= age.live_up_to {
            return end(EndReason::Zeros);
        }
        let Some(file) = &mut self.file else { return Ok(Step::Again) };
        let search = match self.suspect {
            Some((suspect, search)) if suspect == here => search,
            _ => {
                let search = file.search(position.saturating_add(1), age)?;
                self.suspect = Some((here, search));
                // the bytes behind were read later: the broker may have written these in the meantime
                file.forget();
                return Ok(Step::Again);
            }
        };
        let log_goes_on = search.found.is_some() || age.live_up_to == u64::MAX;
        if !log_goes_on {
            return match reason {
                _ if search.stale => end(EndReason::Stale),
                DamageReason::Record(error) => end(EndReason::Torn(error)),
                DamageReason::Zeros | DamageReason::Cut => end(EndReason::Zeros),
            };
        }
        let Some(LogFile { start, path, .. }) = self.files.get(self.index).cloned() else {
            return Ok(Step::Again);
        };
        if self.options.from == Some(here) && position != 0 && !self.options.is_same_log {
            return Err(Error::Rewritten { file: path, file_start: start, offset: here });
        }
        let skipped_to = match search.found {
            Some(next) => {
                self.position = next;
                start.saturating_add(next)
            }
            None => {
                let end_of_file = self.end_of_file(self.index);
                self.leave_file(end_of_file);
                end_of_file
            }
        };
        Ok(Step::Event(Event::Damage(Damage { file: path, offset: here, reason, skipped_to })))
    }

    /// What distinguishes remains of older records in the current file.
    fn age(&mut self) -> Result<Age, Error> {
        let last_with_data = match self.last_with_data {
            Some(last) => last,
            None => self.find_last_with_data()?,
        };
        let goes_on = self.index < last_with_data;
        let live_up_to = if goes_on { u64::MAX } else { self.options.confirmed_end.unwrap_or(0) };
        Ok(Age { live_up_to, last_stored: self.last_stored })
    }

    fn find_last_with_data(&mut self) -> Result<usize, Error> {
        let mut last = self.index;
        for (index, file) in self.files.iter().enumerate().skip(last + 1).rev() {
            if files::has_data(file)? {
                last = index;
                break;
            }
        }
        self.last_with_data = Some(last);
        Ok(last)
    }
}

#[cfg(test)]
#[path = "walker_tests.rs"]
mod tests;
