//! Payloads of the frames that the spool holds for a RocketMQ broker.
//!
//! | kind | payload |
//! |---|---|
//! | [`PULLED`] | `str16 topic`, `i32 queue`, `i64 next offset`, then records as received |
//! | [`PROGRESS`] | JSON: a [`Sample`] |
//! | [`PLACED`] | JSON: a [`Placed`] |
//!
//! A [`PULLED`] frame without records says that reading skips a gap. A [`PLACED`] frame says where reading continues
//! and which record is the last one before that: where offsets are used again, or behind records that are stored
//! already.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::brokers::rocketmq::format::record::records;
use crate::brokers::rocketmq::replay::{ProgressSample, QueueOffsets, QueuePlace, RocketMqReplay};
use crate::error::{Error, Result};
use crate::stream::spool::{GAP, OwnedFrame};
use crate::stream::{Batch, Pending, Replay};

/// Records of one queue.
pub(super) const PULLED: u8 = 10;
/// Offsets of groups, and the bounds of queues.
pub(super) const PROGRESS: u8 = 11;
/// Where reading of a queue continues.
pub(super) const PLACED: u8 = 12;

/// Offsets of groups, and the bounds of queues, at one time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sample {
    /// Epoch milliseconds.
    pub(super) time_ms: i64,
    /// Groups known to the broker.
    pub(super) groups: Vec<String>,
    /// Topic, group, queue, next offset.
    pub(super) offsets: Vec<(String, String, i32, i64)>,
    /// Topic, queue, first offset, next offset to be written.
    pub(super) queues: Vec<(String, i32, i64, i64)>,
}

/// Where reading of a queue continues.
#[derive(Debug, Serialize, Deserialize)]
struct Placed {
    topic: String,
    queue_id: i32,
    place: QueuePlace,
}

/// The payload that says where reading of a queue continues.
pub(super) fn placed(topic: &str, queue_id: i32, place: &QueuePlace) -> Result<Bytes> {
    let placed = Placed { topic: topic.to_owned(), queue_id, place: *place };
    serde_json::to_vec(&placed).map(Bytes::from).map_err(|error| Error::Invariant(error.to_string()))
}

fn parse_placed(payload: &[u8]) -> Result<Placed> {
    serde_json::from_slice(payload)
        .map_err(|error| Error::Invariant(format!("the spool holds a damaged place of a queue: {error}")))
}

/// The payload for the records of a pull.
pub(super) fn pulled(topic: &str, queue_id: i32, next: i64, records: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(records.len() + topic.len() + 14);
    out.extend_from_slice(&u16::try_from(topic.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(&queue_id.to_be_bytes());
    out.extend_from_slice(&next.to_be_bytes());
    out.extend_from_slice(records);
    Bytes::from(out)
}

/// Topic, queue, next offset and records of a [`PULLED`] payload.
fn parse(payload: &[u8]) -> Option<(&str, i32, i64, &[u8])> {
    let (length, tail) = payload.split_first_chunk::<2>()?;
    let (topic, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (queue, tail) = tail.split_first_chunk::<4>()?;
    let (next, records) = tail.split_first_chunk::<8>()?;
    Some((std::str::from_utf8(topic).ok()?, i32::from_be_bytes(*queue), i64::from_be_bytes(*next), records))
}

impl Replay for RocketMqReplay {
    fn frame(&mut self, frame: &OwnedFrame) -> Result<u64> {
        replay_frame(self, frame)
    }

    fn pending(&self) -> Pending {
        RocketMqReplay::pending(self)
    }

    fn take(&mut self) -> Box<dyn Batch> {
        Box::new(RocketMqReplay::take(self))
    }

    fn state(&self) -> Result<Option<Bytes>> {
        self.offsets.to_bytes().map(Some)
    }
}

/// Replays a frame; returns the number of its records that could not be used.
fn replay_frame(replay: &mut RocketMqReplay, frame: &OwnedFrame) -> Result<u64> {
    match frame.kind {
        PULLED => {
            let broken = || Error::Invariant("the spool holds a damaged frame of pulled records".to_owned());
            let (topic, queue_id, next, bytes) = parse(&frame.payload).ok_or_else(broken)?;
            let mut unusable = 0;
            for record in records(bytes) {
                match record {
                    Ok(record) => replay.record(frame.from, &record),
                    Err(error) => {
                        tracing::warn!(topic, queue_id, %error, "a pulled record cannot be read");
                        unusable += 1;
                    }
                }
            }
            replay.offsets.set(topic, queue_id, next);
            Ok(unusable)
        }
        PROGRESS => {
            let sample: Sample = serde_json::from_slice(&frame.payload)
                .map_err(|error| Error::Invariant(format!("the spool holds a damaged sample: {error}")))?;
            add_sample(replay, frame.from, &sample);
            Ok(0)
        }
        PLACED => {
            let Placed { topic, queue_id, place } = parse_placed(&frame.payload)?;
            replay.offsets.put(&topic, queue_id, place);
            Ok(0)
        }
        GAP => Ok(0),
        kind => Err(Error::Invariant(format!(
            "the spool holds a frame of kind {kind} that does not belong to its stream"
        ))),
    }
}

fn add_sample(replay: &mut RocketMqReplay, position: u64, sample: &Sample) {
    replay.offsets.groups.extend(sample.groups.iter().cloned());
    let time_ms = sample.time_ms;
    for (topic, group, queue_id, next) in &sample.offsets {
        let sample = ProgressSample {
            topic,
            group: Some(group),
            queue_id: *queue_id,
            time_ms,
            consumer_offset: Some(*next),
            min_offset: None,
            max_offset: None,
        };
        replay.progress(position, &sample);
    }
    for (topic, queue_id, min, max) in &sample.queues {
        let sample = ProgressSample {
            topic,
            group: None,
            queue_id: *queue_id,
            time_ms,
            consumer_offset: None,
            min_offset: Some(*min),
            max_offset: Some(*max),
        };
        replay.progress(position, &sample);
    }
}

/// Moves queue offsets as a frame says, without making its rows.
pub(super) fn follow_offsets(offsets: &mut QueueOffsets, frame: &OwnedFrame) {
    if frame.kind == PLACED
        && let Ok(Placed { topic, queue_id, place }) = parse_placed(&frame.payload)
    {
        offsets.put(&topic, queue_id, place);
    }
    if frame.kind != PULLED {
        return;
    }
    let Some((topic, queue_id, next, bytes)) = parse(&frame.payload) else { return };
    for record in records(bytes).flatten() {
        offsets.read(topic, &record, next);
    }
    offsets.set(topic, queue_id, next);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pull_comes_back_as_it_was_put() {
        let payload = pulled("%RETRY%订单", 3, 42, b"records");
        assert_eq!(parse(&payload), Some(("%RETRY%订单", 3, 42, &b"records"[..])));
    }

    #[test]
    fn a_place_comes_back_as_it_was_put() {
        let place = QueuePlace { next: 7, reread_to: Some(9), stored: Some(5), ..QueuePlace::default() };
        let payload = placed("%RETRY%订单", 3, &place).unwrap();
        let mut offsets = QueueOffsets::default();
        follow_offsets(&mut offsets, &OwnedFrame { kind: PLACED, from: 0, to: 1, payload });
        assert_eq!(offsets.get("%RETRY%订单", 3), Some(place));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
            for kind in [PULLED, PLACED] {
                let frame = OwnedFrame { kind, from: 0, to: 1, payload: Bytes::from(bytes.clone()) };
                follow_offsets(&mut QueueOffsets::default(), &frame);
            }
        }
    }
}
