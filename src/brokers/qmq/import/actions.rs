//! Reads the action log of a store directory. The pull ranges that acks refer to are stored before each commit.

use crate::brokers::qmq::replay::{ActionCounts, ActionReplay};
use crate::brokers::qmq::store::{ActionFormat, LogReader as Reader, ReadOptions, Seen, Segments};
use crate::error::Result;
use crate::stream::{Flushes, LogReader, Skipped};

/// Reads actions from an offset on.
pub(super) struct ActionReader {
    pub(super) segments: Segments,
    pub(super) options: ReadOptions,
    pub(super) from: u64,
    pub(super) replay: ActionReplay,
    pub(super) flush_rows: usize,
}

/// What was read.
pub(super) struct ActionsRead {
    pub(super) seen: Seen,
    pub(super) end: u64,
    pub(super) counts: ActionCounts,
    pub(super) skipped: Vec<Skipped>,
    pub(super) unusable: u64,
    /// Pull ranges that no longer fitted in memory.
    pub(super) forgotten: u64,
}

impl LogReader for ActionReader {
    type Outcome = ActionsRead;

    fn read(self, flushes: &Flushes) -> Result<ActionsRead> {
        let ActionReader { segments, options, from, mut replay, flush_rows } = self;
        let mut reader = Reader::<ActionFormat>::new(&segments, options);
        let send = |replay: &mut ActionReplay, to: u64| {
            let state = replay.acks.to_bytes()?;
            flushes.send(Box::new(replay.take()), Some(state), to)
        };
        let end = reader.read(from, |offset, next, action| {
            replay.action(offset, &action);
            if replay.pending().rows >= flush_rows {
                send(&mut replay, next)?;
            }
            Ok(())
        })?;
        send(&mut replay, end)?;
        Ok(ActionsRead {
            seen: reader.seen,
            end,
            counts: replay.counts,
            skipped: reader.skipped,
            unusable: reader.unusable,
            forgotten: replay.acks.forgotten,
        })
    }
}
