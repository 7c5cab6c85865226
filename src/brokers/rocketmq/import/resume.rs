//! Where an import resumes: whether the log is still the one that was read, and if not, from where on it is another
//! one.
//!
//! A broker can lose the end of its log in a crash and write other records there, or lose all of it and begin again,
//! and a copy can be older than the one before. So what was read is compared with the log before anything is read from
//! it. Where they differ, records are looked up one by one (`lake/known.rs`), so that none is lost and none is stored
//! twice. Nothing here writes.

use std::collections::BTreeMap;

use tokio::runtime::Handle;

use crate::brokers::rocketmq::format::properties::names;
use crate::brokers::rocketmq::format::record::Record;
use crate::brokers::rocketmq::replay::{QueueOffsets, QueuePlace, Stretch};
use crate::brokers::rocketmq::store::log::{CommitLog, Error, Event, Item, WalkOptions, Walker};
use crate::codec::Sum;
use crate::error::Result;
use crate::lake::{KnownRecords, LostQueue, RecordFingerprint};

/// Where to resume.
#[derive(Debug)]
pub(super) enum Start {
    /// At this offset of the log, or without one at its start.
    At(Option<u64>),
    /// The log, from some offset on, is not the one that was read.
    Replaced(Replacement),
    /// The log ends before what was read of it, or elsewhere, and has no record that is not known.
    Nothing {
        /// Where it ends.
        end: u64,
    },
}

/// A log that differs, from some offset on, from what was read of it.
#[derive(Debug, Default)]
pub(super) struct Replacement {
    /// Offset of the first new record.
    pub(super) at: u64,
    /// Whether no record before it is known, either.
    pub(super) is_whole: bool,
    /// Where those queues stand that had been read further.
    pub(super) queues: BTreeMap<(String, i32), QueuePlace>,
    /// Broker's clock at the record before `at`.
    pub(super) last_stored: Option<i64>,
    /// Offsets that were lost.
    pub(super) lost: Vec<LostQueue>,
}

/// The records that the tables have, for a thread that may block.
pub(super) struct Known {
    pub(super) records: KnownRecords,
    pub(super) runtime: Handle,
}

impl Known {
    /// Whether the tables have a record.
    pub(super) fn has(&mut self, offset: u64, record: &Record<'_>) -> Result<bool> {
        if !self.records.is_loaded(offset) {
            self.runtime.block_on(self.records.load(offset))?;
        }
        let print = RecordFingerprint {
            store_time: record.store_timestamp,
            queue_id: record.queue_id,
            body_crc: record.body_crc,
            stored_size: i32::try_from(record.size()).unwrap_or(i32::MAX),
        };
        Ok(offset < self.records.end() && self.records.has(offset, print))
    }
}

/// A log that was read up to `from`, and what is known about it.
pub(super) struct Resume<'a> {
    pub(super) log: &'a CommitLog,
    pub(super) offsets: &'a QueueOffsets,
    pub(super) from: Option<u64>,
    /// How many bytes at the end are compared at least.
    pub(super) check_bytes: u64,
}

impl Resume<'_> {
    /// Finds where to resume.
    pub(super) fn start(
        &self,
        known: &mut Known,
        fail: impl Fn(Error) -> crate::error::Error,
    ) -> Result<Start> {
        let (Some(from), Some(begin)) = (self.from, self.log.start_of_log()) else {
            return Ok(Start::At(self.from));
        };
        match self.trusted(begin, from).map_err(&fail)? {
            None => Ok(Start::At(Some(from))),
            Some(until) => self.part(until, known, fail),
        }
    }

    /// Up to where the log is the one that was read; `None` if all of it is.
    fn trusted(&self, begin: u64, from: u64) -> Result<Option<u64>, Error> {
        let stretches = self.offsets.trail.stretches();
        if stretches.is_empty() {
            return Ok((!self.is_as_an_older_version_left_it(begin, from)?).then_some(begin));
        }
        // far from the end, comparing single records has to do
        let mut oldest_other = None;
        for (index, stretch) in stretches.iter().enumerate() {
            if stretch.sum.last() >= begin && !self.ends_alike(stretch)? {
                oldest_other = Some(index);
                break;
            }
        }
        let (mut alike, mut wanted, mut trusted) = (0, self.check_bytes, None);
        let mut is_other = oldest_other.is_some();
        for (index, stretch) in stretches.iter().enumerate().rev() {
            if stretch.to <= begin {
                break;
            }
            let is_whole = stretch.from >= begin;
            let is_alike = if is_whole { self.is_alike(stretch)? } else { self.ends_alike(stretch)? };
            if is_alike {
                trusted = trusted.or(Some(stretch.to));
                alike += stretch.to - stretch.from;
            } else {
                // remains of the old end can stand behind a new one, so what lies behind this is not trusted, either
                (trusted, alike, is_other) = (None, 0, true);
                wanted = self.check_bytes.max(from.saturating_sub(stretch.from));
            }
            let is_before_others = oldest_other.is_none_or(|other| index < other);
            if is_before_others && alike >= wanted {
                break;
            }
        }
        Ok(is_other.then(|| trusted.unwrap_or(begin)))
    }

    /// Whether the records of a stretch are those that were read.
    fn is_alike(&self, stretch: &Stretch) -> Result<bool, Error> {
        let mut found = Sum::default();
        let Some(mut walker) = self.walk(stretch.from, stretch.to)? else { return Ok(false) };
        loop {
            match walker.next() {
                Ok(Some(Item::Record { position, record })) if position < stretch.to => {
                    found.add(position, record.bytes);
                }
                Ok(Some(Item::Record { .. }) | None) => return Ok(found == stretch.sum),
                Ok(Some(Item::Event(_))) => {}
                // no record begins where one did before
                Err(Error::Rewritten { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the last record of a stretch is the one that was read.
    fn ends_alike(&self, stretch: &Stretch) -> Result<bool, Error> {
        let last = stretch.sum.last();
        let Some(mut walker) = self.walk(last, stretch.to)? else { return Ok(false) };
        match walker.next() {
            Ok(Some(Item::Record { position, record })) => {
                Ok(position == last && stretch.sum.ends_with(record.bytes))
            }
            Ok(_) | Err(Error::Rewritten { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A walk from an offset at which a record began before, if one can still begin there.
    fn walk(&self, from: u64, confirmed_end: u64) -> Result<Option<Walker>, Error> {
        let options =
            WalkOptions { from: Some(from), confirmed_end: Some(confirmed_end), ..WalkOptions::default() };
        match self.log.walk(options) {
            Ok(walker) => Ok(Some(walker)),
            Err(Error::Rewritten { .. } | Error::BeyondEnd { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The comparison for a lake that stores no sums: the first record's time and the last record's place.
    fn is_as_an_older_version_left_it(&self, begin: u64, from: u64) -> Result<bool, Error> {
        if let Some((at, time)) = self.offsets.head
            && at == begin
            && self.log.first_store_timestamp()?.is_some_and(|found| found != time)
        {
            return Ok(false);
        }
        let number = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
        let queues = self
            .offsets
            .queues()
            .filter(|(.., place)| (number(begin)..number(from)).contains(&place.physical));
        let Some((topic, queue_id, place)) = queues.max_by_key(|(.., place)| place.physical) else {
            return Ok(true);
        };
        let position = u64::try_from(place.physical).unwrap_or(0);
        let Some(mut walker) = self.walk(position, position.saturating_add(1))? else { return Ok(false) };
        Ok(match walker.next() {
            Ok(Some(Item::Record { position: found, record })) => {
                found == position
                    && record.topic_text() == topic
                    && record.queue_id == queue_id
                    && record.queue_offset < place.next
            }
            // damage is reported or skipped when reading meets it
            Ok(Some(Item::Event(Event::Damage(_)))) => true,
            Ok(_) | Err(Error::Rewritten { .. }) => false,
            Err(error) => return Err(error),
        })
    }

    /// Looks for the first record that is not known, from an offset up to which the log is the one that was read.
    fn part(
        &self,
        until: u64,
        known: &mut Known,
        fail: impl Fn(Error) -> crate::error::Error,
    ) -> Result<Start> {
        let options = WalkOptions { from: Some(until), ..WalkOptions::default() };
        let mut walker = self.log.walk(options).map_err(&fail)?;
        let mut replacement =
            Replacement { is_whole: self.log.start_of_log() == Some(until), ..Replacement::default() };
        let mut end = until;
        loop {
            let item = match walker.next() {
                // the record that stood there is gone: compare from the start of the file on
                Err(Error::Rewritten { file_start, .. }) => {
                    let options = WalkOptions { from: Some(file_start), ..WalkOptions::default() };
                    walker = self.log.walk(options).map_err(&fail)?;
                    continue;
                }
                other => other.map_err(&fail)?,
            };
            match item {
                Some(Item::Record { position, record }) => {
                    if !known.has(position, &record)? {
                        replacement.at = position;
                        self.lost(&mut replacement, known)?;
                        return Ok(Start::Replaced(replacement));
                    }
                    replacement.is_whole = false;
                    replacement.last_stored = Some(record.store_timestamp);
                    let messages =
                        record.sys_flag.is_inner_batch().then(|| record.properties.number(names::INNER_NUM));
                    let messages = messages.flatten().unwrap_or(1).max(1);
                    let next = record.queue_offset.saturating_add(messages);
                    let place = QueuePlace::behind(&record, next);
                    replacement.queues.insert((record.topic_text().into_owned(), record.queue_id), place);
                    end = position.saturating_add(record.size() as u64);
                }
                Some(Item::Event(Event::End { .. })) | None => return Ok(Start::Nothing { end }),
                Some(Item::Event(_)) => {}
            }
        }
    }

    /// Finds the records that the broker no longer has, and where queues stand without them.
    fn lost(&self, replacement: &mut Replacement, known: &Known) -> Result<()> {
        let at = i64::try_from(replacement.at).unwrap_or(i64::MAX);
        if replacement.is_whole {
            return Ok(());
        }
        for message in known.runtime.block_on(known.records.messages_from(replacement.at))? {
            // a queue that the walk did not meet stands at its first lost message
            let key = (message.topic, message.queue_id);
            let place = QueuePlace { next: message.queue_offset, ..QueuePlace::default() };
            let known = replacement.queues.entry(key).or_insert(place);
            if known.physical == place.physical {
                known.next = known.next.min(place.next);
            }
        }
        for (topic, queue_id, place) in self.offsets.queues().filter(|(.., place)| place.physical >= at) {
            let now =
                replacement.queues.get(&(topic.to_owned(), queue_id)).map_or(place.next, |now| now.next);
            if now < place.next {
                replacement.lost.push(LostQueue {
                    topic: topic.to_owned(),
                    queue_id,
                    from: now,
                    to: place.next,
                });
            }
        }
        Ok(())
    }
}
