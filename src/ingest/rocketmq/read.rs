//! The reading side of an import: walks the commit log and replays it, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{log_error, store_error};
use crate::error::{Error, Result};
use crate::ingest::Progress;
use crate::lake::{Gap, StreamId};
use crate::replay::{QueueOffsets, QueuePlace, RocketMqBatch, RocketMqCounts, RocketMqReplay};
use crate::source::Skipped;
use crate::source::rocketmq::log::{self, CommitLog, Damage, Event, Item, WalkOptions};
use crate::source::rocketmq::store::StoreDirectory;

/// Rows up to an offset, with the queue offsets there.
pub(super) struct Flush {
    pub(super) batch: RocketMqBatch,
    pub(super) state: Bytes,
    pub(super) to: u64,
}

/// What was read.
#[derive(Default)]
pub(super) struct ReadResult {
    pub(super) counts: RocketMqCounts,
    pub(super) skipped: Vec<Skipped>,
    pub(super) gaps: Vec<Gap>,
    pub(super) end: String,
    pub(super) offsets: QueueOffsets,
}

/// What to read.
pub(super) struct Reading {
    pub(super) store: Arc<StoreDirectory>,
    pub(super) from: Option<u64>,
    pub(super) stream: StreamId,
    pub(super) skip_corrupt: bool,
    pub(super) flush_rows: usize,
    pub(super) flush_bytes: usize,
    pub(super) progress: Arc<Progress>,
}

impl Reading {
    pub(super) fn run(self, mut replay: RocketMqReplay, sender: &mpsc::Sender<Flush>) -> Result<ReadResult> {
        let fail = |error| log_error(error, &self.stream.broker_group, &self.stream);
        let log = CommitLog::open(self.store.commit_log_directories()).map_err(fail)?;
        let Some(start) = log.start_of_log() else {
            return Err(Error::input(
                self.store.root(),
                "its `commitlog` folder holds no file of a commit log",
            ));
        };
        let head = log.first_store_timestamp().map_err(fail)?.map(|time| (start, time));
        if let (Some(known), Some(found)) = (replay.offsets.head, head)
            && known.0 == found.0
            && known != found
        {
            return Err(self.other_log("begins with another record than the one"));
        }
        if let Some(last) = self.last_record(&replay.offsets, start)
            && !self.is_still_there(&log, &last).map_err(fail)?
        {
            return Err(self.other_log("has another record at the place of the last one"));
        }
        replay.offsets.head = head;
        if let Some(end) = log.end_of_files() {
            self.progress.add_total(end.saturating_sub(self.from.unwrap_or(start).max(start)));
        }
        // a hint only, but a good one: nothing before it is taken for a torn tail
        let confirmed = self.store.confirmed_end().map_err(store_error)?;
        let mut walker = log
            .walk(WalkOptions {
                from: self.from,
                last_stored: replay.offsets.last_stored,
                confirmed_end: confirmed.and_then(|end| u64::try_from(end).ok()),
            })
            .map_err(fail)?;
        let mut result = ReadResult::default();
        let mut at = self.from.unwrap_or(start).max(start);
        while let Some(item) = walker.next().map_err(fail)? {
            let next = match item {
                Item::Record { position, record } => {
                    replay.record(position, &record);
                    position.saturating_add(record.size() as u64)
                }
                Item::Event(event) => self.event(event, at, &mut result)?,
            };
            self.progress.bytes_read.fetch_add(next.saturating_sub(at), Ordering::Relaxed);
            at = next;
            let pending = replay.pending();
            if pending.rows() >= self.flush_rows || pending.heap_bytes() >= self.flush_bytes {
                send(&mut replay, at, sender)?;
            }
        }
        send(&mut replay, at, sender)?;
        result.counts = replay.counts;
        result.offsets = replay.offsets;
        Ok(result)
    }

    fn other_log(&self, what: &str) -> Error {
        Error::input(
            self.store.root(),
            format!(
                "the commit log {what} that was imported as {}: it was recreated, or is that of another broker. Use \
                 another --broker or --data",
                self.stream
            ),
        )
    }

    /// The last record of a queue that was imported, if the log can still have it.
    fn last_record<'a>(&self, offsets: &'a QueueOffsets, start: u64) -> Option<(&'a str, i32, QueuePlace)> {
        let begin = i64::try_from(start).unwrap_or(i64::MAX);
        let end = i64::try_from(self.from?).unwrap_or(i64::MAX);
        let places = offsets.queues().filter(|(.., place)| (begin..end).contains(&place.physical));
        places.max_by_key(|(.., place)| place.physical)
    }

    /// Whether the record at that place is still the same.
    fn is_still_there(
        &self,
        log: &CommitLog,
        (topic, queue_id, place): &(&str, i32, QueuePlace),
    ) -> Result<bool, log::Error> {
        let position = u64::try_from(place.physical).unwrap_or(0);
        let mut walker = match log.walk(WalkOptions { from: Some(position), ..WalkOptions::default() }) {
            Ok(walker) => walker,
            Err(log::Error::Rewritten { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(match walker.next()? {
            Some(Item::Record { position: found, record }) => {
                found == position
                    && record.topic_text() == *topic
                    && record.queue_id == *queue_id
                    && record.queue_offset < place.next
            }
            // damage is told, or passed over, where it is met
            Some(Item::Event(_)) => true,
            None => false,
        })
    }

    /// What is no record; returns where reading goes on.
    fn event(&self, event: Event, at: u64, result: &mut ReadResult) -> Result<u64> {
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
                Ok(end.max(at))
            }
        }
    }
}

fn send(replay: &mut RocketMqReplay, to: u64, sender: &mpsc::Sender<Flush>) -> Result<()> {
    let state = replay.offsets.to_bytes()?;
    let flush = Flush { batch: replay.take(), state, to };
    // the reader ends because the committer did; its error is the one to show
    let stopped = |_| Error::Invariant("reading stopped because committing failed".to_owned());
    sender.blocking_send(flush).map_err(stopped)
}
