//! Replay of spooled frames, of either stream.

use bytes::Bytes;
use chrono::NaiveDate;

use super::commit::encode;
use super::spool::OwnedFrame;
use crate::brokers::qmq::follow::{ACTIONS, Entry, INDEX, MESSAGES, Skip, frames};
use crate::brokers::qmq::format::index_log;
use crate::brokers::qmq::replay::{ActionReplay, MessageReplay};
use crate::brokers::qmq::store::{ActionFormat, LogFormat, Step};
use crate::brokers::rocketmq::RocketMqReplay;
use crate::config;
use crate::error::{Error, Result};
use crate::lake::EncodedFile;
use crate::lake::schema::TableDef;
use crate::rows::{DayRule, Rows};

/// Compression of rows that are encoded again soon.
const HOT_ZSTD_LEVEL: i32 = 1;
/// Rows from which a file is encoded as it is to be committed.
const LASTING_ROWS: usize = super::worker::LARGE_ROWS as usize;

/// The replay of one stream, with the subjects that are left out.
pub(super) struct StreamReplay {
    pub(super) rows: ReplayedRows,
    pub(super) skip: Skip,
}

/// Rows of either stream.
pub(super) enum ReplayedRows {
    /// Messages.
    Messages(Box<MessageReplay>),
    /// Actions.
    Actions(Box<ActionReplay>),
    /// What was pulled from a RocketMQ broker.
    RocketMq(Box<RocketMqReplay>),
}

impl StreamReplay {
    /// Replays a frame; returns the number of records in it that could not be used.
    pub(super) fn frame(&mut self, frame: &OwnedFrame) -> Result<u64> {
        self.skip.reload();
        match (&mut self.rows, frame.kind) {
            (ReplayedRows::Messages(replay), INDEX) => Ok(index_frame(replay, &mut self.skip, frame)),
            (ReplayedRows::Messages(replay), MESSAGES) => Ok(message_frame(replay, &mut self.skip, frame)),
            (ReplayedRows::Actions(replay), ACTIONS) => Ok(action_frame(replay, &mut self.skip, frame)),
            (_, frames::GAP) => Ok(0),
            (ReplayedRows::RocketMq(replay), _) => {
                crate::brokers::rocketmq::follow::replay_frame(replay, frame)
            }
            (_, kind) => Err(Error::Invariant(format!(
                "the spool holds a frame of kind {kind} that does not belong to its stream"
            ))),
        }
    }

    /// Rows and bytes that are not encoded yet.
    pub(super) fn pending(&self) -> (usize, usize) {
        match &self.rows {
            ReplayedRows::Messages(replay) => {
                let batch = replay.pending();
                (batch.rows(), batch.heap_bytes())
            }
            ReplayedRows::Actions(replay) => (replay.pending().rows(), 0),
            ReplayedRows::RocketMq(replay) => (replay.pending().rows(), replay.pending().heap_bytes()),
        }
    }

    /// Encodes all pending rows, one file a table and day.
    pub(super) fn encode(
        &mut self,
        broker_group: &str,
        settings: &config::Lake,
        days: &DayRule,
    ) -> Result<Vec<(&'static TableDef, NaiveDate, EncodedFile)>> {
        let mut files = Vec::new();
        match &mut self.rows {
            ReplayedRows::Messages(replay) => {
                let batch = replay.take();
                let context = batch.context(broker_group);
                let tables: [&dyn Rows; 4] = [&batch.contents, &batch.markers, &batch.dead, &batch.messages];
                for rows in tables {
                    files.extend(encode(rows, &context, &fitting(rows, settings), days)?.into_days());
                }
            }
            ReplayedRows::Actions(replay) => {
                let batch = replay.take();
                let context = batch.context(broker_group);
                let tables: [&dyn Rows; 2] = [&batch.unresolved, &batch.records];
                for rows in tables {
                    files.extend(encode(rows, &context, &fitting(rows, settings), days)?.into_days());
                }
            }
            ReplayedRows::RocketMq(replay) => {
                let batch = replay.take();
                let context = batch.context(broker_group);
                for rows in batch.tables() {
                    files.extend(encode(rows, &context, &fitting(rows, settings), days)?.into_days());
                }
            }
        }
        Ok(files)
    }

    /// What is needed to go on at the end of the last frame: of actions the ack state, of RocketMQ the queue offsets.
    pub(super) fn state(&self) -> Result<Option<Bytes>> {
        match &self.rows {
            ReplayedRows::Messages(_) => Ok(None),
            ReplayedRows::Actions(replay) => replay.acks.to_bytes().map(Some),
            ReplayedRows::RocketMq(replay) => replay.offsets.to_bytes().map(Some),
        }
    }
}

/// Settings of a file that is merged into another soon: quick, with filters no larger than needed.
fn fitting(rows: &dyn Rows, settings: &config::Lake) -> config::Lake {
    let mut fitting = settings.clone();
    if rows.len() < LASTING_ROWS {
        fitting.zstd_level = HOT_ZSTD_LEVEL;
        fitting.row_group_rows = rows.len().max(64).next_power_of_two().min(settings.row_group_rows);
    }
    fitting
}

/// Records of an answer have no offsets of their own; they take the frame's, which no table's position divides.
fn index_frame(replay: &mut MessageReplay, skip: &mut Skip, frame: &OwnedFrame) -> u64 {
    let mut rest: &[u8] = &frame.payload;
    while !rest.is_empty() {
        let index_log::Step::Record(record) = index_log::step(rest, rest.len()) else { return 1 };
        if !skip.message(record.subject) {
            replay.index(frame.from, &record);
        }
        rest = rest.get(record.size..).unwrap_or_default();
    }
    0
}

fn message_frame(replay: &mut MessageReplay, skip: &mut Skip, frame: &OwnedFrame) -> u64 {
    let mut unusable = 0;
    for (offset, entry) in frames::entries(&frame.payload) {
        match entry {
            Entry::Whole(item) if !skip.message(item.record.subject) => replay.message(offset, &item),
            Entry::Named(queue, record) if !skip.message(queue) => {
                replay.index(offset, &index_log::IndexRecord { subject: queue, ..record });
            }
            Entry::Unusable => unusable += 1,
            Entry::Whole(_) | Entry::Named(..) => {}
        }
    }
    unusable
}

fn action_frame(replay: &mut ActionReplay, skip: &mut Skip, frame: &OwnedFrame) -> u64 {
    let mut unusable = 0;
    let mut at = 0;
    while let Some(rest) = frame.payload.get(at..).filter(|rest| !rest.is_empty()) {
        match ActionFormat::step(rest, rest.len()) {
            Step::Record { record, size } => {
                if !skip.action(record.subject) {
                    replay.action(frame.from + at as u64, &record);
                }
                at += size;
            }
            Step::Unusable { size, .. } => {
                unusable += 1;
                at += size;
            }
            _ => return unusable + 1,
        }
    }
    unusable
}
