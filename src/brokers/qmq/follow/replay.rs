//! Replay of spooled frames: they become rows, except those of subjects that are left out.

use bytes::Bytes;

use super::frames::{self, ACTIONS, Entry, INDEX, MESSAGES};
use super::skip::Skip;
use crate::brokers::qmq::format::index_log;
use crate::brokers::qmq::replay::{ActionReplay, MessageReplay};
use crate::brokers::qmq::store::{ActionFormat, LogFormat, Step};
use crate::error::{Error, Result};
use crate::stream::spool::{GAP, OwnedFrame};
use crate::stream::{Batch, Pending, Replay};

/// Messages of a followed group.
pub(super) struct FollowedMessages {
    pub(super) replay: MessageReplay,
    pub(super) skip: Skip,
}

/// Actions of a followed group.
pub(super) struct FollowedActions {
    pub(super) replay: ActionReplay,
    pub(super) skip: Skip,
}

impl Replay for FollowedMessages {
    fn frame(&mut self, frame: &OwnedFrame) -> Result<u64> {
        self.skip.reload();
        match frame.kind {
            INDEX => Ok(index_frame(&mut self.replay, &mut self.skip, frame)),
            MESSAGES => Ok(message_frame(&mut self.replay, &mut self.skip, frame)),
            kind => unless_gap(kind),
        }
    }

    fn pending(&self) -> Pending {
        self.replay.pending()
    }

    fn take(&mut self) -> Box<dyn Batch> {
        Box::new(self.replay.take())
    }

    fn state(&self) -> Result<Option<Bytes>> {
        Ok(None)
    }
}

impl Replay for FollowedActions {
    fn frame(&mut self, frame: &OwnedFrame) -> Result<u64> {
        self.skip.reload();
        match frame.kind {
            ACTIONS => Ok(action_frame(&mut self.replay, &mut self.skip, frame)),
            kind => unless_gap(kind),
        }
    }

    fn pending(&self) -> Pending {
        self.replay.pending()
    }

    fn take(&mut self) -> Box<dyn Batch> {
        Box::new(self.replay.take())
    }

    fn state(&self) -> Result<Option<Bytes>> {
        self.replay.acks.to_bytes().map(Some)
    }
}

fn unless_gap(kind: u8) -> Result<u64> {
    match kind {
        GAP => Ok(0),
        kind => Err(Error::Invariant(format!(
            "the spool holds a frame of kind {kind} that does not belong to its stream"
        ))),
    }
}

/// Records of an answer have no offsets of their own, so they get the frame's; no table's position lies inside a frame.
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
