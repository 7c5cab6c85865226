//! One open file of a commit log: which records in it are sound, and where the next one is.

use std::path::PathBuf;

use super::error::Error;
use super::files::LogFile;
use super::queue_ends::{Judgement, QueueEnds};
use crate::brokers::rocketmq::format::record::{MAGIC_V1, MAGIC_V2, MAX_HEAD_BYTES};
use crate::brokers::rocketmq::format::{RecordError, record};
use crate::file_window::FileWindow;

/// Bytes of the marker behind the last record. A smaller rest of a file holds nothing.
pub(super) const MARKER_BYTES: usize = 8;
/// Distance of the magic from the start of a record.
const MAGIC_AT: u64 = 4;
/// How far store timestamps may go back from one record to the next, in milliseconds.
const CLOCK_SLACK_MS: i64 = 10_000;
/// The magic of each version of records. They differ in the last byte.
const MAGICS: [[u8; 4]; 2] = [MAGIC_V1.to_be_bytes(), MAGIC_V2.to_be_bytes()];
/// As many zeros in a row end a search at the end of the log. Larger than a whole record of a broker with default
/// limits, so that no more than one record can hide behind fewer.
const ZERO_RUN_BYTES: u64 = 8 << 20;

/// A sound record, as far as a walk needs to know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound {
    /// Bytes of the record.
    pub(super) size: usize,
    /// When the broker stored it.
    pub(super) stored: i64,
    /// Topic or properties end in zeros or contain a page of them: the record was not complete when the file was
    /// copied.
    pub(super) is_unfinished: bool,
}

/// What distinguishes remains of older records from records of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age {
    /// Everything before this physical offset belongs to the log.
    pub(super) live_up_to: u64,
    /// Store time of the previous record.
    pub(super) last_stored: Option<i64>,
}

/// Result of a search behind unsound bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// Position in the file of the next record of the log.
    pub(super) found: Option<u64>,
    /// Whether remains of older records were skipped.
    pub(super) stale: bool,
}

/// A file of a commit log. Positions are positions in the file.
#[derive(Debug)]
pub(super) struct OpenFile {
    start: u64,
    path: PathBuf,
    window: FileWindow,
}

impl OpenFile {
    pub(super) fn open(file: &LogFile) -> std::io::Result<Self> {
        Ok(Self { start: file.start, path: file.path.clone(), window: FileWindow::open(&file.path)? })
    }

    /// Bytes in the file.
    pub(super) const fn length(&self) -> u64 {
        self.window.length()
    }

    /// The bytes of the last check or load, and whatever else is in memory behind them.
    pub(super) fn in_memory(&self, position: u64) -> &[u8] {
        self.window.in_memory(position)
    }

    /// Makes the next access read the file again.
    pub(super) const fn forget(&mut self) {
        self.window.forget();
    }

    /// The bytes that distinguish a record from a marker and from zeros; `None` at the end of the file.
    pub(super) fn head(&mut self, position: u64) -> Result<Option<[u8; MARKER_BYTES]>, Error> {
        let bytes = self.load(position, MARKER_BYTES)?;
        Ok(bytes.first_chunk().copied())
    }

    /// The bytes of the file from `position` on: at least `bytes`, if there are so many.
    pub(super) fn load(&mut self, position: u64, bytes: usize) -> Result<&[u8], Error> {
        self.window.at(position, bytes).map_err(Error::io(&self.path))
    }

    /// Makes every possible check of the record at `position`, and leaves it in memory.
    pub(super) fn check(&mut self, position: u64) -> Result<Result<Sound, RecordError>, Error> {
        let place = self.start.saturating_add(position);
        let length = self.length();
        let outline = record::outline(self.load(position, MAX_HEAD_BYTES)?);
        let size = match outline.and_then(|outline| outline.expect_at(place).map(|()| outline.size)) {
            Ok(size) => size,
            Err(error) => return Ok(Err(error)),
        };
        let left = usize::try_from(length.saturating_sub(position)).unwrap_or(usize::MAX);
        if size > left {
            return Ok(Err(RecordError::Short { needs: size, left }));
        }
        let record = record::decode(self.load(position, size)?);
        Ok(record.and_then(|record| {
            record.check_body_crc()?;
            record.check_record_crc()?;
            Ok(Sound {
                size: record.size(),
                stored: record.store_timestamp,
                is_unfinished: record.is_unfinished(),
            })
        }))
    }

    /// Whether the sound record at `position` is older than it can be and nothing newer follows it. Then a recovery of
    /// the broker cut it off, and the position behind the last record of that kind is returned.
    pub(super) fn remains(&mut self, position: u64, sound: Sound, age: Age) -> Result<Option<u64>, Error> {
        let Some(last_stored) = age.last_stored else { return Ok(None) };
        let is_older = sound.stored < last_stored.saturating_sub(CLOCK_SLACK_MS);
        if !is_older || self.start.saturating_add(position) < age.live_up_to {
            return Ok(None);
        }
        let mut position = position.saturating_add(sound.size as u64);
        while let Ok(next) = self.check(position)? {
            if next.stored >= last_stored {
                return Ok(None);
            }
            position = position.saturating_add(next.size as u64);
        }
        Ok(Some(position))
    }

    /// Notes how far the records before `end` advanced each queue. Anything else is skipped.
    pub(super) fn note_ends(&mut self, end: u64, ends: &mut QueueEnds) -> Result<(), Error> {
        let mut position = 0;
        while position < end {
            match self.check(position)? {
                Ok(sound) => {
                    if let Ok(record) = record::decode(self.in_memory(position)) {
                        ends.note(&record);
                    }
                    position = position.saturating_add(sound.size as u64);
                }
                Err(_) => {
                    let from = position.saturating_add(1 + MAGIC_AT);
                    let Some(magic) = self.find_magic(from, true)? else { return Ok(()) };
                    position = magic.saturating_sub(MAGIC_AT);
                }
            }
        }
        Ok(())
    }

    /// Whether the records from `position` to `end` continue the queues noted so far.
    pub(super) fn continues(
        &mut self,
        mut position: u64,
        end: u64,
        mut ends: QueueEnds,
    ) -> Result<bool, Error> {
        let mut goes_on = false;
        while position < end
            && let Ok(sound) = self.check(position)?
        {
            if let Ok(record) = record::decode(self.in_memory(position)) {
                match ends.judge(&record) {
                    Judgement::Contradicts => return Ok(false),
                    Judgement::GoesOn => goes_on = true,
                    Judgement::Unknown => {}
                }
            }
            position = position.saturating_add(sound.size as u64);
        }
        Ok(goes_on)
    }

    /// Position of the first magic of a record at or behind `position`.
    ///
    /// With `stop_at_zeros` the search ends behind a long run of zeros, as it follows the last record of a log: the
    /// rest of the file can be a gigabyte of them.
    fn find_magic(&mut self, position: u64, stop_at_zeros: bool) -> Result<Option<u64>, Error> {
        let [[common @ .., _], _] = MAGICS;
        let most_zeros = if stop_at_zeros { ZERO_RUN_BYTES } else { u64::MAX };
        let mut from = position;
        loop {
            let found = self.window.find(&common, from, most_zeros).map_err(Error::io(&self.path))?;
            let Some(found) = found else { return Ok(None) };
            if self.load(found, MARKER_BYTES)?.first_chunk().is_some_and(|magic| MAGICS.contains(magic)) {
                return Ok(Some(found));
            }
            from = found.saturating_add(1);
        }
    }

    /// Searches for the next record of the log at or behind `position`.
    pub(super) fn search(&mut self, position: u64, age: Age) -> Result<Search, Error> {
        let at_the_end = self.start.saturating_add(position) >= age.live_up_to;
        let mut stale = false;
        let mut from = position.saturating_add(MAGIC_AT);
        loop {
            let magic = self.find_magic(from, at_the_end)?;
            let Some(magic) = magic else { return Ok(Search { found: None, stale }) };
            let candidate = magic.saturating_sub(MAGIC_AT);
            from = match self.check(candidate)? {
                Ok(sound) => match self.remains(candidate, sound, age)? {
                    Some(end) => {
                        stale = true;
                        end.saturating_add(MAGIC_AT)
                    }
                    None => return Ok(Search { found: Some(candidate), stale }),
                },
                Err(_) => magic.saturating_add(1),
            };
        }
    }
}
