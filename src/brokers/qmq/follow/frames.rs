//! Payloads of the frames that the spool holds for each stream.
//!
//! | kind | payload |
//! |---|---|
//! | [`INDEX`] | index records as received; their offsets are not known, only the frame's |
//! | [`MESSAGES`] | entries read from the message log, each with its offset; see [`Entry`] |
//! | [`ACTIONS`] | whole records of the action log from the frame's start on |
//! | `GAP` | nothing: the broker no longer has this stretch, or an operator stepped over it |
//!
//! An entry is `u64 offset`, `u8 form`, `u32 size` and the record. Form 0 is a record of the message log. Form 1 is
//! `str16 subject of the record's header` and an index record. Form 2 is a record of the message log whose store time
//! is unknown. Where offsets are unknown, entries have the offset of their frame.

use crate::brokers::qmq::format::index_log::IndexRecord;
use crate::brokers::qmq::format::{index_log, message_log};
use crate::brokers::qmq::store::{LogFormat, MessageFormat, MessageItem, Step};
use crate::rows::NO_TIME;

pub(super) const INDEX: u8 = 1;
pub(super) const MESSAGES: u8 = 2;
pub(super) const ACTIONS: u8 = 3;

/// Record version under which fetched messages are stored.
const RECORD_VERSION: u8 = 3;
const WHOLE: u8 = 0;
const NAMED: u8 = 1;
const FETCHED: u8 = 2;
const HEADER_BYTES: usize = 13;

/// A message of a [`MESSAGES`] frame.
#[derive(Debug)]
pub(super) enum Entry<'a> {
    /// The message with its content.
    Whole(MessageItem<'a>),
    /// The message without its content: the queue from the record's header, and the index record.
    Named(&'a [u8], IndexRecord<'a>),
    /// The payload cannot be read.
    Unusable,
}

/// Appends a record of the message log with its content.
pub(super) fn put_whole(out: &mut Vec<u8>, offset: u64, record: &[u8]) {
    put_header(out, offset, WHOLE, record.len());
    out.extend_from_slice(record);
}

/// Appends a message whose content was fetched by its queue and sequence.
pub(super) fn put_fetched(out: &mut Vec<u8>, offset: u64, queue: &str, sequence: i64, payload: &[u8]) {
    let start = out.len();
    put_header(out, offset, FETCHED, 0);
    message_log::encode(out, RECORD_VERSION, 0, sequence, queue, payload);
    set_size(out, start);
}

/// Appends an index record, whose subject is its queue.
pub(super) fn put_indexed(out: &mut Vec<u8>, offset: u64, record: &IndexRecord<'_>) {
    let start = out.len();
    put_header(out, offset, NAMED, 0);
    let IndexRecord { subject, message_id, .. } = *record;
    out.extend_from_slice(&u16::try_from(subject.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(subject);
    index_log::encode(out, record.sequence, record.create_time_ms, subject, message_id);
    set_size(out, start);
}

/// Appends the position of a message without its content.
pub(super) fn put_named(out: &mut Vec<u8>, offset: u64, item: &MessageItem<'_>) {
    let start = out.len();
    put_header(out, offset, NAMED, 0);
    let queue = item.record.subject;
    out.extend_from_slice(&u16::try_from(queue.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(queue);
    let payload = &item.payload;
    index_log::encode(out, item.record.sequence, payload.create_time_ms, payload.subject, payload.message_id);
    set_size(out, start);
}

fn set_size(out: &mut [u8], start: usize) {
    let size = u32::try_from(out.len() - start - HEADER_BYTES).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start + 9..start + HEADER_BYTES) {
        place.copy_from_slice(&size.to_be_bytes());
    }
}

fn put_header(out: &mut Vec<u8>, offset: u64, form: u8, size: usize) {
    out.extend_from_slice(&offset.to_be_bytes());
    out.push(form);
    out.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
}

/// Iterates over the entries of a [`MESSAGES`] frame; ends early if they are damaged, which the frame's checksum rules
/// out.
pub(super) fn entries(payload: &[u8]) -> impl Iterator<Item = (u64, Entry<'_>)> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (offset, tail) = rest.split_first_chunk::<8>()?;
        let (form, tail) = tail.split_first()?;
        let (size, tail) = tail.split_first_chunk::<4>()?;
        let (body, after) = tail.split_at_checked(u32::from_be_bytes(*size) as usize)?;
        rest = after;
        Some((u64::from_be_bytes(*offset), entry(*form, body)))
    })
}

fn entry(form: u8, body: &[u8]) -> Entry<'_> {
    if form == WHOLE || form == FETCHED {
        return match MessageFormat::step(body, body.len()) {
            Step::Record { mut record, .. } => {
                if form == FETCHED {
                    record.record.store_time_ms = NO_TIME;
                }
                Entry::Whole(record)
            }
            _ => Entry::Unusable,
        };
    }
    named(body).unwrap_or(Entry::Unusable)
}

fn named(body: &[u8]) -> Option<Entry<'_>> {
    let (length, tail) = body.split_first_chunk::<2>()?;
    let (queue, record) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    match index_log::step(record, record.len()) {
        index_log::Step::Record(record) => Some(Entry::Named(queue, record)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::brokers::qmq::format::{message_log, payload};

    #[test]
    fn entries_come_back_as_they_were_put() {
        let content = payload::encode(0, 5, 6, "order", "m1", &[], &[("k", "v")]);
        let mut record = Vec::new();
        message_log::encode(&mut record, 3, 7, 42, "%RETRY%order%g", &content);
        let mut out = Vec::new();
        put_whole(&mut out, 100, &record);
        let Step::Record { record: item, .. } = MessageFormat::step(&record, record.len()) else { panic!() };
        put_named(&mut out, 200, &item);
        let found: Vec<_> = entries(&out).collect();
        let [(100, Entry::Whole(whole)), (200, Entry::Named(queue, index))] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((whole.record.subject, whole.record.sequence), (&b"%RETRY%order%g"[..], 42));
        assert_eq!((*queue, index.subject, index.sequence), (&b"%RETRY%order%g"[..], &b"order"[..], 42));
        assert_eq!((index.message_id, index.create_time_ms), (&b"m1"[..], 5));
    }

    #[test]
    fn a_fetched_message_has_no_store_time() {
        let content = payload::encode(0, 5, 6, "%DEAD_RETRY%order%g", "m1", &[], &[("k", "v")]);
        let mut out = Vec::new();
        put_fetched(&mut out, 7, "%DEAD_RETRY%order%g", 3, &content);
        let found: Vec<_> = entries(&out).collect();
        let [(7, Entry::Whole(item))] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((item.record.store_time_ms, item.record.sequence), (NO_TIME, 3));
        assert_eq!(item.payload.message_id, b"m1");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            entries(&bytes).for_each(drop);
        }
    }
}
