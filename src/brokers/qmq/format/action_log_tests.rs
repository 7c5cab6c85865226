//! Tests of the action log decoder: the worked example, each check, and properties over made records and noise.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::brokers::qmq::format::payload::tests::hex;

const PULL: &str = "c3b2a100 00 00 00000037 0005 6f72646572 0001 67 0002 6331 0000018bcfe56be8 00
    0000000000000000 0000000000000001 0000000000000000 0000000000000001";
const RANGE_ACK: &str = "c3b2a100 00 01 00000026 0005 6f72646572 0001 67 0002 6331
    0000018bcfe56fd0 0000000000000000 0000000000000001";
const EMPTY_PULL: &str = "c3b2a100 00 00 00000037 0005 6f72646572 0001 67 0002 6331 0000018bcfe56ddc 00
    0000000000000002 0000000000000001 0000000000000003 0000000000000002";
const FOREVER_OFFLINE: &str = "c3b2a100 00 02 00000016 0005 6f72646572 0001 67 0002 6331 0000018bcfe573b8";

fn consumer(timestamp_ms: i64, kind: ActionKind) -> Action<'static> {
    Action { subject: b"order", consumer_group: b"g", consumer_id: b"c1", timestamp_ms, kind }
}

fn pull(first: i64, last: i64, first_message: i64, last_message: i64) -> ActionKind {
    ActionKind::Pull {
        broadcast: false,
        first_sequence: first,
        last_sequence: last,
        first_message_sequence: first_message,
        last_message_sequence: last_message,
    }
}

fn ack(first_sequence: i64, last_sequence: i64) -> ActionKind {
    ActionKind::RangeAck { first_sequence, last_sequence }
}

fn encoded(action: &Action<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, action);
    bytes
}

fn invalid(bytes: &[u8], limit: usize) -> Invalid {
    match step(bytes, limit) {
        Step::Invalid(invalid) => invalid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn worked_example_of_four_actions() {
    let expected = [
        (0, PULL, consumer(1_700_000_001_000, pull(0, 1, 0, 1))),
        (65, RANGE_ACK, consumer(1_700_000_002_000, ack(0, 1))),
        (113, EMPTY_PULL, consumer(1_700_000_001_500, pull(2, 1, 3, 2))),
        (178, FOREVER_OFFLINE, consumer(1_700_000_003_000, ActionKind::ForeverOffline)),
    ];
    let log: Vec<u8> = expected.iter().flat_map(|(_, text, _)| hex(text)).collect();
    let mut at = 0;
    for (offset, text, expected) in &expected {
        assert_eq!(at, *offset);
        let bytes = hex(text);
        assert_eq!(step(&log[at..], SEGMENT_BYTES), Step::Action { action: *expected, size: bytes.len() });
        assert_eq!(encoded(expected), bytes);
        at += bytes.len();
    }
    assert_eq!((at, log.len()), (210, 210));
}

#[test]
fn worked_example_of_an_answer_cut_inside_a_record() {
    let cut = hex("c3b2a1000000 00000037 0005 6f72646572 0001 67");
    assert_eq!(cut.len(), 20);
    assert_eq!(step(&cut, SEGMENT_BYTES), Step::Incomplete);
}

#[test]
fn end_markers_hide_the_bytes_behind_them() {
    let mut bytes = Vec::new();
    encode_end_of_segment(&mut bytes, &hex(PULL));
    assert_eq!(&bytes[..5], hex("c3b2a100 01").as_slice());
    assert_eq!(step(&bytes, bytes.len()), Step::EndOfSegment);
    assert_eq!(step(&bytes[..4], bytes.len()), Step::Incomplete);
    for limit in 0..MIN_RECORD_BYTES {
        assert_eq!(step(&hex(PULL), limit), Step::EndOfSegment);
    }
}

#[test]
fn blank_prefixes() {
    let blank = |end: i32| [hex("c3b2a100 02"), end.to_be_bytes().to_vec()].concat();
    assert_eq!(step(&blank(5000), SEGMENT_BYTES), Step::Blank { data_starts_at: 5000 });
    assert_eq!(step(&blank(5000)[..8], SEGMENT_BYTES), Step::Incomplete);
    for (end, limit) in [(-1, 100), (0, 100), (8, 100), (101, 100)] {
        assert_eq!(invalid(&blank(end), limit), Invalid::BadBlank(end));
    }
    assert_eq!(invalid(&blank(9), 8), Invalid::BeyondSegment { needs: 9, limit: 8 });
}

#[test]
fn unknown_types_are_skipped_once_whole() {
    let bytes = hex("c3b2a100 00 03 00000002 ffff");
    assert_eq!(step(&bytes, 100), Step::UnknownType { code: 3, size: 12 });
    assert_eq!(step(&bytes[..11], 100), Step::Incomplete);
    assert_eq!(invalid(&bytes, 11), Invalid::BeyondSegment { needs: 12, limit: 11 });
    let bytes = hex("c3b2a100 00 ff 00000000");
    assert_eq!(step(&bytes, 100), Step::UnknownType { code: -1, size: 10 });
}

#[test]
fn headers_that_are_no_record() {
    assert_eq!(invalid(&hex("00000000"), 100), Invalid::BadMagic { found: 0 });
    assert_eq!(invalid(&hex("c3b2a100 03"), 100), Invalid::BadAttribute(3));
    assert_eq!(invalid(&hex("c3b2a100 ff"), 100), Invalid::BadAttribute(-1));
    assert_eq!(invalid(&hex("c3b2a100 00"), 9), Invalid::BeyondSegment { needs: 10, limit: 9 });
    for (code, size) in [(0, -1), (0, 46), (0, 98_349), (1, 29), (1, 98_332), (2, 13), (2, 98_316), (3, -1)] {
        let bytes = [hex("c3b2a100 00"), vec![code as u8], i32::to_be_bytes(size).to_vec()].concat();
        assert_eq!(invalid(&bytes, SEGMENT_BYTES), Invalid::BadPayloadSize { code, size });
    }
}

#[test]
fn the_longest_action_is_valid() {
    let longest = "x".repeat(32_767);
    let text = longest.as_bytes();
    let action =
        Action { subject: text, consumer_group: text, consumer_id: text, ..consumer(1, pull(0, 0, 0, 0)) };
    let bytes = encoded(&action);
    assert_eq!(step(&bytes, SEGMENT_BYTES), Step::Action { action, size: 98_358 });
}

#[test]
fn strings_must_not_be_empty_or_of_negative_length() {
    let good = consumer(1, ack(0, 1));
    let empty = [
        (Action { subject: b"", ..good }, "subject"),
        (Action { consumer_group: b"", ..good }, "consumer group"),
        (Action { consumer_id: b"", ..good }, "consumer id"),
    ];
    for (action, field) in empty {
        assert_eq!(invalid(&encoded(&action), 200), Invalid::BadStringLength { field, length: 0 });
    }
    let mut bytes = encoded(&good);
    bytes[17..19].copy_from_slice(&[0xff, 0xfe]);
    assert_eq!(invalid(&bytes, 200), Invalid::BadStringLength { field: "consumer group", length: -2 });
}

#[test]
fn the_fields_must_use_up_the_payload_exactly() {
    let mut bytes = hex(FOREVER_OFFLINE);
    bytes[9] += 1;
    bytes.push(0);
    assert_eq!(invalid(&bytes, 200), Invalid::PayloadNotUsedUp { code: 2, left: 1 });
    let mut bytes = hex(RANGE_ACK);
    bytes[9] -= 1;
    assert_eq!(invalid(&bytes, 200), Invalid::FieldsBeyondPayload { code: 1, size: 37 });
    bytes[11] = 200;
    assert_eq!(invalid(&bytes, 200), Invalid::FieldsBeyondPayload { code: 1, size: 37 });
}

#[test]
fn timestamps_must_be_positive() {
    for timestamp in [0, -1, i64::MIN] {
        let bytes = encoded(&consumer(timestamp, ActionKind::ForeverOffline));
        assert_eq!(invalid(&bytes, 200), Invalid::BadTimestamp(timestamp));
    }
}

#[test]
fn pull_ranges_must_have_one_length_that_is_not_negative() {
    for (a, b, c, d) in [
        (0, 1, 0, 2),
        (2, 0, 2, 0),
        (0, -2, 0, -2),
        (0, i64::MAX, 0, i64::MAX),
        (i64::MIN, i64::MAX, i64::MIN, i64::MAX),
        (i64::MAX, i64::MIN, i64::MAX, i64::MIN),
        (-1, i64::MAX, 0, 0),
        (0, 0, i64::MIN, i64::MAX),
    ] {
        let found = invalid(&encoded(&consumer(1, pull(a, b, c, d))), 200);
        assert!(matches!(found, Invalid::BadPullRange { .. }), "{found:?}");
        assert!(found.to_string().starts_with(&format!("pull sequences {a}..{b} do not fit")));
    }
    for (a, b, c, d) in [(0, -1, 0, -1), (0, -1, 7, 6), (1, i64::MAX, 1, i64::MAX), (5, 5, 9, 9)] {
        let action = consumer(1, pull(a, b, c, d));
        assert!(
            matches!(step(&encoded(&action), 200), Step::Action { action: found, .. } if found == action)
        );
    }
}

#[test]
fn ack_ranges_must_not_be_empty() {
    for (first_sequence, last_sequence) in [(1, 0), (0, -1), (0, i64::MAX), (i64::MIN, i64::MAX), (5, -5)] {
        let bytes = encoded(&consumer(1, ack(first_sequence, last_sequence)));
        assert_eq!(invalid(&bytes, 200), Invalid::BadAckRange { first_sequence, last_sequence });
    }
    let wide = consumer(1, ack(0, 1_000_000_000));
    assert!(matches!(step(&encoded(&wide), 200), Step::Action { action, .. } if action == wide));
}

#[test]
fn only_one_means_broadcast() {
    let mut bytes = hex(PULL);
    for value in 0..=u8::MAX {
        bytes[32] = value;
        let Step::Action { action, size: 65 } = step(&bytes, 65) else { panic!() };
        assert!(matches!(action.kind, ActionKind::Pull { broadcast, .. } if broadcast == (value == 1)));
    }
}

fn any_kind() -> impl Strategy<Value = ActionKind> {
    let sequence = || -1..i64::MAX / 2;
    let pulls = (any::<bool>(), sequence(), sequence(), 0..i64::MAX / 2).prop_map(
        |(broadcast, first, message, count)| ActionKind::Pull {
            broadcast,
            first_sequence: first,
            last_sequence: first + count - 1,
            first_message_sequence: message,
            last_message_sequence: message + count - 1,
        },
    );
    let acks = (sequence(), 0..i64::MAX / 2).prop_map(|(first, more)| ack(first, first + more));
    prop_oneof![pulls, acks, Just(ActionKind::ForeverOffline)]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..40)
}

proptest! {
    #[test]
    fn encoding_then_decoding_is_identity_and_prefixes_are_incomplete(
        subject in text(), group in text(), consumer in text(), timestamp_ms in 1..i64::MAX, kind in any_kind(),
        tail in vec(any::<u8>(), 0..20),
    ) {
        let action = Action {
            subject: &subject,
            consumer_group: &group,
            consumer_id: &consumer,
            timestamp_ms,
            kind,
        };
        let mut bytes = encoded(&action);
        let size = bytes.len();
        for end in 0..size {
            prop_assert_eq!(step(&bytes[..end], size), Step::Incomplete);
            match step(&bytes, end) {
                Step::EndOfSegment => prop_assert!(end < MIN_RECORD_BYTES),
                Step::Invalid(Invalid::BeyondSegment { needs, limit }) => {
                    prop_assert!(limit == end && limit < needs && needs <= size);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
        bytes.extend_from_slice(&tail);
        for limit in [size, size + 1, SEGMENT_BYTES] {
            prop_assert_eq!(step(&bytes, limit), Step::Action { action, size });
        }
    }

    #[test]
    fn one_changed_byte_never_escapes_the_record(at in 0..65_usize, value: u8) {
        let mut bytes = hex(PULL);
        bytes[at] = value;
        if let Step::Action { size, .. } | Step::UnknownType { size, .. } = step(&bytes, SEGMENT_BYTES) {
            prop_assert!(size <= bytes.len());
        }
    }

    #[test]
    fn arbitrary_bytes_stay_inside_the_buffer(
        with_magic: bool,
        attribute in prop_oneof![0..3_u8, any::<u8>()],
        body in vec(prop_oneof![3 => Just(0), 1 => 0..80_u8, 1 => any::<u8>()], 0..160),
        limit in 0..240_usize,
    ) {
        let mut bytes = if with_magic { MAGIC.to_be_bytes().to_vec() } else { Vec::new() };
        bytes.push(attribute);
        bytes.extend_from_slice(&body);
        match step(&bytes, limit) {
            Step::Action { size, .. } | Step::UnknownType { size, .. } => {
                prop_assert!(size <= bytes.len().min(limit) && size >= HEADER_BYTES);
            }
            Step::Blank { data_starts_at } => prop_assert!(data_starts_at as usize <= limit),
            Step::Incomplete => prop_assert!(bytes.len() < limit),
            Step::EndOfSegment | Step::Invalid(_) => {}
        }
    }
}
