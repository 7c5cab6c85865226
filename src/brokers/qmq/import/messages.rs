//! Reads the messages of a store directory, from the message log or from a Java backup's index log.

use crate::brokers::qmq::replay::{MessageCounts, MessageReplay};
use crate::brokers::qmq::store::{
    IndexFormat, LogFormat, LogReader as Reader, MessageFormat, ReadOptions, Seen, Segments,
};
use crate::error::Result;
use crate::stream::{Flushes, LogReader, Skipped};

/// Reads messages from an offset on.
pub(super) struct MessageReader {
    pub(super) segments: Segments,
    /// Whether it is the index log of a Java backup.
    pub(super) is_index: bool,
    pub(super) options: ReadOptions,
    pub(super) from: u64,
    pub(super) replay: MessageReplay,
    pub(super) flush_rows: usize,
    pub(super) flush_bytes: usize,
}

/// What was read.
pub(super) struct MessagesRead {
    pub(super) counts: MessageCounts,
    pub(super) skipped: Vec<Skipped>,
    pub(super) unusable: u64,
    pub(super) seen: Seen,
    pub(super) end: u64,
}

impl LogReader for MessageReader {
    type Outcome = MessagesRead;

    fn read(self, flushes: &Flushes) -> Result<MessagesRead> {
        let segments = self.segments.clone();
        match self.is_index {
            true => self.read_as::<IndexFormat>(&segments, flushes, |replay, at, record| {
                replay.index(at, &record);
            }),
            false => self.read_as::<MessageFormat>(&segments, flushes, |replay, at, record| {
                replay.message(at, &record);
            }),
        }
    }
}

impl MessageReader {
    fn read_as<F: LogFormat>(
        self,
        segments: &Segments,
        flushes: &Flushes,
        add: impl Fn(&mut MessageReplay, u64, F::Record<'_>),
    ) -> Result<MessagesRead> {
        let MessageReader { options, from, mut replay, flush_rows, flush_bytes, .. } = self;
        let mut reader = Reader::<F>::new(segments, options);
        let end = reader.read(from, |offset, next, record| {
            add(&mut replay, offset, record);
            if replay.pending().reaches(flush_rows, flush_bytes) {
                flushes.send(Box::new(replay.take()), None, next)?;
            }
            Ok(())
        })?;
        flushes.send(Box::new(replay.take()), None, end)?;
        Ok(MessagesRead {
            counts: replay.counts,
            skipped: reader.skipped,
            unusable: reader.unusable,
            seen: reader.seen,
            end,
        })
    }
}
