//! The reading side of an import: walks the commit log and replays it, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::errors::{log_error, store_error};
use super::resume::Known;
use crate::brokers::rocketmq::format::record::Record;
use crate::brokers::rocketmq::replay::{QueueOffsets, RocketMqCounts, RocketMqReplay};
use crate::brokers::rocketmq::store::StoreDirectory;
use crate::brokers::rocketmq::store::log::{CommitLog, Damage, EndReason, Event, Item, WalkOptions};
use crate::error::{Error, Result};
use crate::lake::{Gap, StreamId};
use crate::stream::{Flushes, LogReader, Progress, Skipped};

/// Most warnings about single records.
const MOST_WARNINGS: usize = 20;

/// What was read.
#[derive(Default)]
pub(super) struct ReadResult {
    pub(super) counts: RocketMqCounts,
    pub(super) skipped: Vec<Skipped>,
    pub(super) gaps: Vec<Gap>,
    pub(super) end: String,
    pub(super) offsets: QueueOffsets,
    pub(super) warnings: Vec<String>,
}

/// What to read.
pub(super) struct Reading {
    pub(super) replay: RocketMqReplay,
    pub(super) store: Arc<StoreDirectory>,
    /// Offset in the log; without one it is read from its start.
    pub(super) from: Option<u64>,
    /// The records that the tables know, if the stream's position alone does not say it.
    pub(super) known: Option<Known>,
    pub(super) stream: StreamId,
    pub(super) skip_corrupt: bool,
    pub(super) flush_rows: usize,
    pub(super) flush_bytes: usize,
    pub(super) progress: Arc<Progress>,
}

impl LogReader for Reading {
    type Outcome = ReadResult;

    fn read(mut self, flushes: &Flushes) -> Result<ReadResult> {
        let stream = self.stream.clone();
        let fail = |error| log_error(error, &stream);
        let log = CommitLog::open(self.store.commit_log_directories()).map_err(fail)?;
        let Some(start) = log.start_of_log() else { return Err(no_files(&self.store)) };
        self.replay.offsets.head = log.first_store_timestamp().map_err(fail)?.map(|time| (start, time));
        // only a hint, but a good one: nothing before it is taken for a torn tail
        let confirmed = self.store.confirmed_end().map_err(store_error)?;
        let confirmed = confirmed.and_then(|end| u64::try_from(end).ok());
        let mut at = self.from.unwrap_or(start).max(start);
        // behind the last record a file holds only zeros
        let end = confirmed.max(log.end_of_data().map_err(fail)?);
        self.progress.add_total(end.map_or(0, |end| end.saturating_sub(at)));
        let mut walker = log
            .walk(WalkOptions {
                from: self.from,
                last_stored: self.replay.offsets.last_stored,
                confirmed_end: confirmed,
                is_same_log: true,
            })
            .map_err(fail)?;
        let mut result = ReadResult::default();
        while let Some(item) = walker.next().map_err(fail)? {
            let next = match item {
                Item::Record { position, record } => {
                    if self.is_left_behind(&log, position, &record, self.replay.offsets.last_stored)? {
                        result.end = format!("offset {position}: {}", EndReason::Stale);
                        break;
                    }
                    self.record(position, &record, &mut result)?;
                    position.saturating_add(record.size() as u64)
                }
                Item::Event(event) => self.event(event, at, confirmed, &mut result)?,
            };
            self.progress.bytes_read.fetch_add(next.saturating_sub(at), Ordering::Relaxed);
            at = next;
            if self.replay.pending().reaches(self.flush_rows, self.flush_bytes) {
                self.flush(at, flushes)?;
            }
        }
        self.flush(at, flushes)?;
        result.counts = self.replay.counts;
        result.offsets = self.replay.offsets;
        Ok(result)
    }
}

impl Reading {
    /// Hands over what was replayed up to an offset of the log.
    fn flush(&mut self, at: u64, flushes: &Flushes) -> Result<()> {
        let (state, to) = (self.replay.offsets.to_bytes()?, self.replay.offsets.trail.position(at));
        flushes.send(Box::new(self.replay.take()), Some(state), to)
    }

    /// Whether a record and everything behind it were left by a crash behind the end of the log: they are known, and
    /// older than the record before.
    fn is_left_behind(
        &mut self,
        log: &CommitLog,
        offset: u64,
        record: &Record<'_>,
        last_stored: Option<i64>,
    ) -> Result<bool> {
        let Some(known) = &mut self.known else { return Ok(false) };
        if last_stored.is_none_or(|last| record.store_timestamp >= last) || !known.has(offset, record)? {
            return Ok(false);
        }
        let fail = |error| log_error(error, &self.stream);
        let options = WalkOptions { from: Some(offset), ..WalkOptions::default() };
        let mut walker = log.walk(options).map_err(fail)?;
        while let Some(item) = walker.next().map_err(fail)? {
            if let Item::Record { position, record } = item
                && !known.has(position, &record)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn record(&mut self, offset: u64, record: &Record<'_>, result: &mut ReadResult) -> Result<()> {
        if record.is_unfinished() && result.warnings.len() < MOST_WARNINGS {
            result.warnings.push(format!(
                "the record at offset {offset} has zeros where its topic or properties end: the broker lost them in a \
                 crash, and with them keys and ids of the message"
            ));
        }
        let is_known = match &mut self.known {
            Some(known) => Some(known.has(offset, record)?),
            None => None,
        };
        let position = self.replay.offsets.trail.position(offset);
        self.replay.record_beside(position, record, is_known);
        self.replay.offsets.trail.note(offset, record);
        Ok(())
    }

    /// Handles an event that is not a record; returns where reading continues.
    fn event(&self, event: Event, at: u64, confirmed: Option<u64>, result: &mut ReadResult) -> Result<u64> {
        match event {
            Event::Lost { from, to } => {
                tracing::warn!(stream = %self.stream, from, to, "the broker removed this stretch before it was imported");
                result.gaps.push(Gap { stream: self.stream.to_string(), from, to });
                Ok(to)
            }
            Event::MissingFiles { from, to } => {
                let reason = "files of the commit log are missing".to_owned();
                if !self.skip_corrupt {
                    return Err(Error::input(
                        self.store.root(),
                        format!("{reason}: offsets {from} to {to}; `--skip-corrupt` goes on behind them"),
                    ));
                }
                result.skipped.push(Skipped { file: "commitlog".to_owned(), from, to, reason });
                Ok(to)
            }
            Event::EndOfFile { start, next, wrong_marker } => {
                if let Some(size) = wrong_marker {
                    tracing::warn!(
                        file = start,
                        size,
                        "the end marker of a commit log file names a wrong size"
                    );
                }
                Ok(next)
            }
            Event::Damage(damage) => {
                let Damage { file, offset, reason, skipped_to } = damage;
                let (path, reason) = (file.display().to_string(), reason.to_string());
                if !self.skip_corrupt {
                    let start = file.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
                    return Err(Error::Corrupt {
                        path,
                        offset,
                        position: offset.saturating_sub(start.unwrap_or(0)),
                        reason,
                        next: Some(skipped_to),
                    });
                }
                result.skipped.push(Skipped { file: path, from: offset, to: skipped_to, reason });
                Ok(skipped_to)
            }
            Event::End { at: end, reason } => {
                result.end = format!("offset {end}: {reason}");
                if let Some(confirmed) = confirmed.filter(|confirmed| *confirmed > end) {
                    result.warnings.push(format!(
                        "consume queues name records up to offset {confirmed}, but the log ends at {end}: the broker lost \
                         the rest in a crash, or they are not copied whole. An import goes on there once they are"
                    ));
                } else if reason == EndReason::Stale {
                    result.warnings.push(format!(
                        "older records stand behind offset {end}; they are taken for what a crash left behind the end of \
                         the log, and are not imported. If the broker's clock went back instead, import again once \
                         newer records follow"
                    ));
                }
                Ok(end.max(at))
            }
        }
    }
}

/// The error of a store without a log.
pub(super) fn no_files(store: &StoreDirectory) -> Error {
    Error::input(store.root(), "its `commitlog` folder holds no file of a commit log")
}
