//! Whether a slave's log still has what was received of it last.
//!
//! After a cut, a log can have been written again beyond the position of this reader, and a record can begin at exactly
//! that position. Then only the records before it show the difference. This module compares, and decides nothing.

use std::collections::HashSet;

use super::frames;
use super::frames::{ACTIONS, Entry, INDEX, MESSAGES};
use crate::brokers::qmq::format::index_log;
use crate::brokers::qmq::store::{LogFormat, MessageFormat, Step};
use crate::stream::spool::OwnedFrame;

/// Records without a match after which the log counts as another one, although not all of the stretch was compared.
const MOST_OTHERS: usize = 8;

/// Whether the message log, read from the frame's start on, has any of the frame's messages; `None` if that cannot be
/// decided. The index stream can leave messages out, so one match is enough.
pub(super) fn has_messages_of(frame: &OwnedFrame, data: &[u8]) -> Option<bool> {
    let known = messages_of(frame);
    if known.is_empty() {
        return None;
    }
    let (mut at, mut others) = (0, 0);
    loop {
        let position = frame.from + at as u64;
        if position >= frame.to || others >= MOST_OTHERS {
            return (others > 0).then_some(false);
        }
        let left = MessageFormat::SEGMENT_BYTES - position % MessageFormat::SEGMENT_BYTES;
        let rest = data.get(at..)?;
        match MessageFormat::step(rest, usize::try_from(left).unwrap_or(usize::MAX)) {
            Step::Record { record, size } => {
                if known.contains(&(record.record.sequence, record.payload.message_id.to_vec())) {
                    return Some(true);
                }
                others += 1;
                at += size;
            }
            Step::Unusable { size, .. } => at += size,
            _ => return None,
        }
    }
}

/// Sequence and id of each message of a frame.
fn messages_of(frame: &OwnedFrame) -> HashSet<(i64, Vec<u8>)> {
    let mut messages = HashSet::new();
    match frame.kind {
        INDEX => {
            let mut rest: &[u8] = &frame.payload;
            while let index_log::Step::Record(record) = index_log::step(rest, rest.len()) {
                messages.insert((record.sequence, record.message_id.to_vec()));
                rest = rest.get(record.size..).unwrap_or_default();
            }
        }
        MESSAGES => {
            for (_, entry) in frames::entries(&frame.payload) {
                match entry {
                    Entry::Whole(item) => {
                        messages.insert((item.record.sequence, item.payload.message_id.to_vec()));
                    }
                    Entry::Named(_, record) => {
                        messages.insert((record.sequence, record.message_id.to_vec()));
                    }
                    Entry::Unusable => {}
                }
            }
        }
        _ => {}
    }
    messages
}

/// Whether the action log, read from the frame's start on, has the frame's bytes; `None` if that cannot be decided.
pub(super) fn has_actions_of(frame: &OwnedFrame, data: &[u8]) -> Option<bool> {
    if frame.kind != ACTIONS {
        return None;
    }
    let length = data.len().min(frame.payload.len());
    (length > 0).then(|| data.get(..length) == frame.payload.get(..length))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::brokers::qmq::format::{message_log, payload};

    fn record(sequence: i64, id: &str) -> Vec<u8> {
        let content = payload::encode(0, 5, 6, "order", id, &[], &[("k", "v")]);
        let mut record = Vec::new();
        message_log::encode(&mut record, 3, 7, sequence, "order", &content);
        record
    }

    fn index(sequences: &[(i64, &str)]) -> OwnedFrame {
        let mut payload = Vec::new();
        let mut size = 0;
        for (sequence, id) in sequences {
            index_log::encode(&mut payload, *sequence, 5, b"order", id.as_bytes());
            size += record(*sequence, id).len();
        }
        OwnedFrame { kind: INDEX, from: 100, to: 100 + size as u64, payload: Bytes::from(payload) }
    }

    #[test]
    fn a_log_that_was_written_again_is_not_the_one_that_was_followed() {
        let frame = index(&[(3, "id3"), (4, "id4")]);
        let log = |records: &[(i64, &str)]| -> Vec<u8> {
            records.iter().flat_map(|(sequence, id)| record(*sequence, id)).collect()
        };
        for (what, data, verdict) in [
            ("the same", log(&[(3, "id3"), (4, "id4"), (5, "id5")]), Some(true)),
            ("the beginning of it", log(&[(3, "id3")]), Some(true)),
            ("others", log(&[(3, "xx3"), (4, "xx4"), (5, "id5")]), Some(false)),
            ("half a record", record(3, "id3")[..20].to_vec(), None),
            ("nothing", Vec::new(), None),
            ("other records, not to the end", log(&[(3, "xx3")]), None),
        ] {
            assert_eq!(has_messages_of(&frame, &data), verdict, "{what}");
        }
        let gap = OwnedFrame { kind: crate::stream::spool::GAP, payload: Bytes::new(), ..index(&[]) };
        assert_eq!(has_messages_of(&gap, &log(&[(3, "id3")])), None);
    }

    #[test]
    fn actions_are_compared_byte_by_byte() {
        let frame = OwnedFrame { kind: ACTIONS, from: 0, to: 6, payload: Bytes::from_static(b"action") };
        for (data, verdict) in [
            (&b"action and more"[..], Some(true)),
            (b"act", Some(true)),
            (b"active", Some(false)),
            (b"", None),
        ] {
            assert_eq!(has_actions_of(&frame, data), verdict);
        }
    }
}
