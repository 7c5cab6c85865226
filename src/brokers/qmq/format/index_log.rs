//! Index records: the derived stream a broker sends to a backup, and the log in which the Java backup keeps it
//! (`MessageIndexSyncWorker`, `IndexLog`, `IndexLogVisitor`).
//!
//! [`step`] decodes the one record at the start of a buffer, without copying. It never opens files and never guesses
//! where the next record starts: records have no magic, no checksum and no length of their own, so after an invalid
//! one nothing behind it can be read.
//!
//! In files, records stand back to back; what is left of a file after the last one is zero bytes.

use thiserror::Error;

use crate::codec::cursor::{Cursor, Short, put_bytes16};

/// Size of a file of the backup's index log in bytes; base offsets are multiples of it.
pub const SEGMENT_BYTES: usize = 1 << 30;

/// Bytes of a record apart from its two strings. As many bytes are needed to distinguish a record from zero padding.
const FIXED_BYTES: usize = 20;
/// A record has a subject and an id of at least one byte each.
const MIN_RECORD_BYTES: usize = FIXED_BYTES + 2;

/// What stands at the start of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole record; the next one starts [`IndexRecord::size`] bytes further.
    Record(IndexRecord<'a>),
    /// Nothing more in this file: zero padding, or its very end.
    EndOfFile,
    /// The buffer ends before the record does; the record fits in the file as far as can be seen.
    Incomplete,
    /// No record.
    Invalid(Invalid),
}

/// Why bytes are not an index record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Invalid {
    /// Negative sequence; brokers count from 0.
    #[error("bad sequence {0} in an index record")]
    BadSequence(i64),
    /// Empty subject or negative length; brokers leave such messages out.
    #[error("bad subject length {0} in an index record")]
    BadSubjectLength(i16),
    /// Empty message id or negative length; brokers leave such messages out.
    #[error("bad message id length {0} in an index record")]
    BadMessageIdLength(i16),
    /// The record would cross the end of the file or answer.
    #[error("index record of at least {needs} bytes in the last {limit} bytes")]
    BeyondSegment {
        /// Bytes the record needs, as far as its length is known.
        needs: usize,
        /// Bytes left.
        limit: usize,
    },
}

/// Where a message is, borrowed from the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexRecord<'a> {
    /// Position in the queue named by the header of the log record. Not negative.
    pub sequence: i64,
    /// Producer's clock when the message was made, in milliseconds since the Unix epoch. Any value.
    pub create_time_ms: i64,
    /// Subject in the payload. For retries written by the broker itself it is not the queue that `sequence` counts in.
    pub subject: &'a [u8],
    /// Id given by the producer.
    pub message_id: &'a [u8],
    /// Size of the record in bytes.
    pub size: usize,
}

/// Decodes the record at the start of `buf`.
///
/// `limit` is the number of bytes from the start of `buf` to the end of the file or of the answer; bytes of `buf`
/// beyond it are not looked at. A record longer than `limit` is invalid; one that is only longer than `buf` is
/// incomplete. A create time of 0 or less is accepted where the strings are present: a producer with a broken clock
/// must not end the stream.
#[inline]
#[must_use]
pub fn step(buf: &[u8], limit: usize) -> Step<'_> {
    let buf = buf.get(..limit).unwrap_or(buf);
    if limit < MIN_RECORD_BYTES {
        return rest(buf, limit);
    }
    match decode(buf, limit) {
        Ok(Ok(step)) => step,
        Ok(Err(invalid)) => Step::Invalid(invalid),
        Err(Short) => Step::Incomplete,
    }
}

/// The last bytes, too few for a record: padding if zero, else the start of a record that was cut off.
#[cold]
fn rest(buf: &[u8], limit: usize) -> Step<'_> {
    if buf.iter().any(|byte| *byte != 0) {
        Step::Invalid(Invalid::BeyondSegment { needs: MIN_RECORD_BYTES, limit })
    } else if buf.len() == limit {
        Step::EndOfFile
    } else {
        Step::Incomplete
    }
}

#[inline]
fn decode(buf: &[u8], limit: usize) -> Result<Result<Step<'_>, Invalid>, Short> {
    let mut cursor = Cursor::new(buf);
    let sequence = cursor.i64()?;
    if sequence < 0 {
        return Ok(Err(Invalid::BadSequence(sequence)));
    }
    let create_time_ms = cursor.i64()?;
    let length = cursor.i16()?;
    let subject_bytes = match usize::try_from(length) {
        Ok(0) if sequence == 0 && create_time_ms == 0 && cursor.i16()? == 0 => {
            return Ok(Ok(Step::EndOfFile));
        }
        Ok(bytes @ 1..) => bytes,
        _ => return Ok(Err(Invalid::BadSubjectLength(length))),
    };
    // Tested before each part is read: a part beyond the limit can never arrive.
    let needs = FIXED_BYTES + subject_bytes + 1;
    if needs > limit {
        return Ok(Err(Invalid::BeyondSegment { needs, limit }));
    }
    let subject = cursor.bytes(subject_bytes)?;
    let length = cursor.i16()?;
    let message_id_bytes = match usize::try_from(length) {
        Ok(bytes @ 1..) => bytes,
        _ => return Ok(Err(Invalid::BadMessageIdLength(length))),
    };
    let size = FIXED_BYTES + subject_bytes + message_id_bytes;
    if size > limit {
        return Ok(Err(Invalid::BeyondSegment { needs: size, limit }));
    }
    let message_id = cursor.bytes(message_id_bytes)?;
    Ok(Ok(Step::Record(IndexRecord { sequence, create_time_ms, subject, message_id, size })))
}

/// Appends an index record.
///
/// Subject and id may have 1 to 32767 bytes; like QMQ's writer, longer ones get a wrapped length and are unreadable.
pub fn encode(out: &mut Vec<u8>, sequence: i64, create_time_ms: i64, subject: &[u8], message_id: &[u8]) {
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&create_time_ms.to_be_bytes());
    put_bytes16(out, subject);
    put_bytes16(out, message_id);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::brokers::qmq::format::payload::tests::hex;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const M1: &str = "0000000000000000 0000018bcfe56800 0005 6f72646572 0002 6d31";
    const ANSWER: [&str; 4] = [
        M1,
        "0000000000000001 0000018bcfe56801 0005 6f72646572 0002 6d32",
        "0000000000000000 0000018bcfe56802 000e 255245545259256f726465722567 0002 6d33",
        "0000000000000001 0000018bcfe56803 0005 6f72646572 0002 6d34",
    ];

    fn invalid(text: &str, limit: usize) -> Invalid {
        match step(&hex(text), limit) {
            Step::Invalid(invalid) => invalid,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn worked_example_of_one_record() {
        let bytes = hex(M1);
        let expected = IndexRecord {
            sequence: 0,
            create_time_ms: 1_700_000_000_000,
            subject: b"order",
            message_id: b"m1",
            size: 27,
        };
        assert_eq!(step(&bytes, 27), Step::Record(expected));
        let mut encoded = Vec::new();
        encode(&mut encoded, 0, 1_700_000_000_000, b"order", b"m1");
        assert_eq!(encoded, bytes);
    }

    #[test]
    fn worked_example_of_an_answer_with_four_records() {
        let data = hex(&ANSWER.concat());
        assert_eq!(data.len(), 0x75);
        let expected: [(i64, &[u8], &[u8]); 4] =
            [(0, b"order", b"m1"), (1, b"order", b"m2"), (0, b"%RETRY%order%g", b"m3"), (1, b"order", b"m4")];
        let mut at = 0;
        for (time, expected) in (1_700_000_000_000..).zip(expected) {
            let Step::Record(found) = step(&data[at..], data.len() - at) else { panic!() };
            assert_eq!((found.sequence, found.subject, found.message_id), expected);
            assert_eq!(found.create_time_ms, time);
            at += found.size;
        }
        assert_eq!(at, data.len());
        assert_eq!(step(&data[at..], 0), Step::EndOfFile);
    }

    #[test]
    fn zero_padding_ends_a_file() {
        for length in 0..60 {
            assert_eq!(step(&vec![0; length], length), Step::EndOfFile);
            let expected = if length < 20 { Step::Incomplete } else { Step::EndOfFile };
            assert_eq!(step(&vec![0; length], 100), expected);
        }
        assert_eq!(step(&[0; 10], 15), Step::Incomplete);
    }

    #[test]
    fn a_broken_producer_clock_does_not_end_the_stream() {
        for time in [0, -1, i64::MIN] {
            let mut bytes = Vec::new();
            encode(&mut bytes, 0, time, b"s", b"i");
            assert!(matches!(step(&bytes, 22), Step::Record(found) if found.create_time_ms == time));
        }
    }

    #[test]
    fn bytes_that_are_no_record() {
        assert_eq!(invalid("ffffffffffffffff", 100), Invalid::BadSequence(-1));
        let head = "0000000000000000 0000018bcfe56800";
        assert_eq!(invalid(&format!("{head} 0000"), 100), Invalid::BadSubjectLength(0));
        assert_eq!(invalid(&format!("{head} ffff"), 100), Invalid::BadSubjectLength(-1));
        assert_eq!(invalid(&format!("{head} 0001 61 0000"), 100), Invalid::BadMessageIdLength(0));
        assert_eq!(invalid(&format!("{head} 0001 61 8000"), 100), Invalid::BadMessageIdLength(i16::MIN));
        let blank_but = "0000000000000000 0000000000000000 0000";
        assert_eq!(invalid(&format!("{blank_but} 0001"), 100), Invalid::BadSubjectLength(0));
        let beyond = |needs, limit| Invalid::BeyondSegment { needs, limit };
        assert_eq!(invalid(&format!("{head} 0050"), 100), beyond(101, 100));
        assert_eq!(invalid(&format!("{head} 0001 61 0050"), 100), beyond(101, 100));
    }

    #[test]
    fn a_record_cut_by_the_end_of_an_answer_is_seen() {
        let bytes = hex(M1);
        for end in 7..bytes.len() {
            let found = step(&bytes[..end], end);
            let blank = bytes[..end].iter().all(|byte| *byte == 0);
            match found {
                Step::EndOfFile => assert!(blank),
                Step::Invalid(Invalid::BeyondSegment { limit, .. }) => {
                    assert!(!blank && limit == end)
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        vec(any::<u8>(), 1..60)
    }

    proptest! {
        #[test]
        fn encoding_then_decoding_is_identity_and_prefixes_are_incomplete(
            sequence in 0..=i64::MAX, create_time_ms: i64, subject in text(), message_id in text(),
            tail in vec(any::<u8>(), 0..30),
        ) {
            let mut bytes = Vec::new();
            encode(&mut bytes, sequence, create_time_ms, &subject, &message_id);
            let size = bytes.len();
            for end in 0..size {
                prop_assert_eq!(step(&bytes[..end], size), Step::Incomplete);
            }
            bytes.extend_from_slice(&tail);
            let expected =
                IndexRecord { sequence, create_time_ms, subject: &subject, message_id: &message_id, size };
            for limit in [size, size + 1, SEGMENT_BYTES] {
                prop_assert_eq!(step(&bytes, limit), Step::Record(expected));
            }
        }

        #[test]
        fn arbitrary_bytes_stay_inside_the_buffer(
            bytes in vec(prop_oneof![4 => Just(0), 1 => 0..9_u8, 1 => any::<u8>()], 0..120),
            limit in 0..200_usize,
        ) {
            match step(&bytes, limit) {
                Step::Record(found) => {
                    prop_assert!(found.size <= bytes.len().min(limit) && found.size >= MIN_RECORD_BYTES);
                }
                Step::Incomplete => prop_assert!(bytes.len() < limit),
                Step::EndOfFile | Step::Invalid(_) => {}
            }
        }
    }
}
