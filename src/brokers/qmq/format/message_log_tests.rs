//! Tests of the message log decoder: worked examples, each check, and properties over made records and noise.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::brokers::qmq::format::payload;
use crate::brokers::qmq::format::payload::tests::{M1, M2, hex};

const STORED: i64 = 1_700_000_000_500;
const M1_HEAD: &str =
    "a1b2c302 00 0000018bcfe569f4 0000000000000000 0005 6f72646572 000000002cff566e 00000045";
const END_MARKER: &str = "a1b2c302 01 0000018bcfe569f4";

fn record(buf: &[u8]) -> MessageRecord<'_> {
    match step(buf, SEGMENT_BYTES) {
        Step::Record(record) => record,
        other => panic!("{other:?}"),
    }
}

fn invalid(text: &str, limit: usize) -> Invalid {
    match step(&hex(text), limit) {
        Step::Invalid(invalid) => invalid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn worked_example_of_message_m1() {
    let bytes = hex(&format!("{M1_HEAD}{M1}"));
    let m1 = record(&bytes);
    assert_eq!((m1.version, m1.store_time_ms, m1.sequence, m1.subject), (3, STORED, 0, b"order".as_slice()));
    assert_eq!((m1.crc, m1.payload, m1.size), (Some(0x2cff_566e), hex(M1).as_slice(), 109));
    assert!(m1.crc_matches());
    let mut encoded = Vec::new();
    encode(&mut encoded, 3, STORED, 0, "order", &hex(M1));
    assert_eq!(encoded, bytes);
}

#[test]
fn worked_example_of_the_v1_header() {
    let head = hex("a1b2c300 00 0000018bcfe569f4 0000000000000000 0005 6f72646572 00000045");
    let bytes = [head, hex(M1)].concat();
    let m1 = record(&bytes);
    assert_eq!((m1.version, m1.crc, m1.payload, m1.size), (1, None, hex(M1).as_slice(), 101));
    assert!(m1.crc_matches());
    let mut encoded = Vec::new();
    encode(&mut encoded, 1, STORED, 0, "order", &hex(M1));
    assert_eq!(encoded, bytes);
}

#[test]
fn worked_example_of_the_end_marker() {
    let mut bytes = hex(END_MARKER);
    bytes.resize(40, 0);
    assert_eq!(step(&bytes, 40), Step::EndOfSegment);
    let mut encoded = Vec::new();
    encode_end_of_segment(&mut encoded, STORED, 40);
    assert_eq!(encoded, bytes);
    for end in 0..MIN_RECORD_BYTES {
        assert_eq!(step(&bytes[..end], 40), Step::Incomplete);
    }
}

#[test]
fn worked_example_of_the_log_of_four_records() {
    let created = |n: i64| 1_700_000_000_000 + n;
    let attrs = ["1700000000002", "1700000000003"].map(|time| [("qmq_createTime", time)]);
    let third = STORED - 100;
    let retry = "%RETRY%order%g";
    let m3 = payload::encode(0, created(2), third, retry, "m3", &[], &attrs[0]);
    let m4 = payload::encode(0, created(3), third, "order", "m4", &[], &attrs[1]);
    let messages = [("order", 0, hex(M1)), ("order", 1, hex(M2)), (retry, 0, m3), (retry, 1, m4)];
    let mut log = Vec::new();
    for (subject, sequence, payload) in &messages {
        encode(&mut log, 3, STORED, *sequence, subject, payload);
    }
    let mut at = 0;
    for ((subject, sequence, payload), offset) in messages.iter().zip([0, 109, 221, 342]) {
        assert_eq!(at, offset);
        let found = record(&log[at..]);
        assert!(found.crc_matches());
        assert_eq!((found.subject, found.sequence), (subject.as_bytes(), *sequence));
        assert_eq!(found.payload, payload.as_slice());
        at += found.size;
    }
    assert_eq!((at, log.len()), (454, 454));
    assert_eq!(record(&log[109..]).crc, Some(0x3230_325a));
}

#[test]
fn every_other_attribute_is_a_message() {
    let mut bytes = hex(&format!("{M1_HEAD}{M1}"));
    let expected = (109, hex(M1));
    for attribute in (0..=u8::MAX).filter(|attribute| ![1, 2].contains(attribute)) {
        bytes[4] = attribute;
        let found = record(&bytes);
        assert_eq!((found.size, found.payload.to_vec()), expected);
    }
}

#[test]
fn blank_prefixes() {
    let blank = |end: i32| [hex("a1b2c302 02 0000018bcfe569f4"), end.to_be_bytes().to_vec()].concat();
    assert_eq!(step(&blank(5000), SEGMENT_BYTES), Step::Blank { data_starts_at: 5000 });
    assert_eq!(step(&blank(5000)[..16], SEGMENT_BYTES), Step::Incomplete);
    for (end, limit) in [(-1, 100), (0, 100), (16, 100), (101, 100)] {
        assert_eq!(step(&blank(end), limit), Step::Invalid(Invalid::BadBlank(end)));
    }
    assert_eq!(step(&blank(17), 16), Step::Invalid(Invalid::BeyondSegment { needs: 17, limit: 16 }));
}

#[test]
fn bytes_that_are_no_record() {
    assert_eq!(invalid("00000000 00", 100), Invalid::BadMagic { found: 0 });
    assert_eq!(invalid("a1b2c303", 100), Invalid::BadMagic { found: 0xa1b2_c303 });
    let head = "a1b2c302 00 0000018bcfe569f4 0000000000000000";
    assert_eq!(invalid(&format!("{head} 8000"), 100), Invalid::BadSubjectLength(i16::MIN));
    let sized = |size: &str| format!("{head} 0001 61 0000000000000000 {size}");
    assert_eq!(invalid(&sized("ffffffff"), 100), Invalid::BadPayloadLength(-1));
    let beyond = |needs, limit| Invalid::BeyondSegment { needs, limit };
    assert_eq!(invalid(&sized("00000041"), 100), beyond(101, 100));
    assert_eq!(invalid(&sized("7fffffff"), SEGMENT_BYTES), beyond(36 + i32::MAX as usize, SEGMENT_BYTES));
    assert_eq!(invalid(&format!("{head} 0042"), 100), beyond(101, 100));
    assert_eq!(invalid("a1b2c302 00 0000018bcfe569f4", 34), beyond(35, 34));
    assert_eq!(invalid("a1b2c300 00 0000018bcfe569f4", 26), beyond(27, 26));
}

#[test]
fn a_rest_too_small_for_a_record_is_the_end_of_the_segment() {
    for limit in 0..MIN_RECORD_BYTES {
        assert_eq!(step(&hex(M1_HEAD), limit), Step::EndOfSegment);
    }
}

#[test]
fn a_changed_payload_or_crc_does_not_match() {
    let bytes = hex(&format!("{M1_HEAD}{M1}"));
    for at in [28, 32, 40, 108] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert!(!record(&bytes).crc_matches());
    }
}

fn any_record() -> impl Strategy<Value = (u8, i64, i64, String, Vec<u8>)> {
    (1..=3_u8, any::<i64>(), any::<i64>(), any::<String>(), proptest::collection::vec(any::<u8>(), 0..200))
}

proptest! {
    #[test]
    fn encoding_then_decoding_is_identity(
        (version, time, sequence, subject, payload) in any_record(),
        tail in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = Vec::new();
        encode(&mut bytes, version, time, sequence, &subject, &payload);
        let size = bytes.len();
        bytes.extend_from_slice(&tail);
        for limit in [size, size + 1, SEGMENT_BYTES] {
            let Step::Record(found) = step(&bytes, limit) else { panic!() };
            prop_assert!(found.crc_matches());
            prop_assert_eq!((found.version, found.store_time_ms, found.sequence), (version, time, sequence));
            prop_assert_eq!(found.subject, subject.as_bytes());
            prop_assert_eq!((found.payload, found.size), (payload.as_slice(), size));
        }
    }

    #[test]
    fn prefixes_are_incomplete_and_too_long_records_invalid(
        (version, time, sequence, subject, payload) in any_record(),
    ) {
        let mut bytes = Vec::new();
        encode(&mut bytes, version, time, sequence, &subject, &payload);
        for end in 0..bytes.len() {
            prop_assert_eq!(step(&bytes[..end], bytes.len()), Step::Incomplete);
            match step(&bytes, end) {
                Step::EndOfSegment => prop_assert!(end < MIN_RECORD_BYTES),
                Step::Invalid(Invalid::BeyondSegment { needs, limit }) => {
                    prop_assert!(limit == end && limit < needs && needs <= bytes.len());
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn arbitrary_bytes_stay_inside_the_buffer(
        magic in 0..4_usize,
        attribute in prop_oneof![0..3_u8, any::<u8>()],
        body in proptest::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..120),
        limit in 0..200_usize,
    ) {
        let mut bytes = Vec::new();
        let magics = [MAGIC_V1, MAGIC_V2, MAGIC_V3];
        bytes.extend(magics.get(magic).into_iter().flat_map(|magic| magic.to_be_bytes()));
        bytes.push(attribute);
        bytes.extend_from_slice(&body);
        match step(&bytes, limit) {
            Step::Record(found) => prop_assert!(found.size <= bytes.len().min(limit) && found.size >= 27),
            Step::Blank { data_starts_at } => prop_assert!(data_starts_at as usize <= limit),
            Step::Incomplete => prop_assert!(bytes.len() < limit),
            Step::EndOfSegment | Step::Invalid(_) => {}
        }
    }
}
