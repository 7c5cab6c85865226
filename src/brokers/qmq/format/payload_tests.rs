//! Tests of the message decoder: worked examples, bad lengths, attribute maps, and properties over noise.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Payload of message m1 of the worked example, 69 bytes.
pub(crate) const M1: &str = "00 0000018bcfe56800 0000018bcfe56990 0005 6f72646572 0002 6d31
    00000025 000e 716d715f63726561746554696d65 000d 31373030303030303030303030 0001 6b 0001 76";
/// Payload of message m2, with two tags, 72 bytes.
pub(crate) const M2: &str = "04 0000018bcfe56801 0000018bcfe56990 0005 6f72646572 0002 6d32
    02 0002 7431 0002 7432
    0000001f 000e 716d715f63726561746554696d65 000d 31373030303030303030303031";

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

fn pairs(body: &[u8]) -> Vec<(String, String)> {
    attributes(body).unwrap().into_iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

fn owned(attrs: &[(&str, &str)]) -> Vec<(String, String)> {
    attrs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn worked_example_of_message_m1() {
    let bytes = hex(M1);
    assert_eq!((bytes.len(), crc32fast::hash(&bytes)), (69, 0x2cff_566e));
    let m1 = Payload::decode(&bytes).unwrap();
    assert_eq!((m1.flags, m1.create_time_ms), (0, 1_700_000_000_000));
    assert_eq!(m1.expire_or_schedule_time_ms, 1_700_000_000_400);
    assert_eq!((m1.subject, m1.message_id), (b"order".as_slice(), b"m1".as_slice()));
    assert!(!m1.has_tags() && !m1.is_delay() && !m1.is_low_reliability());
    assert_eq!((m1.tags().count(), m1.body.len(), m1.size), (0, 37, 69));
    let attrs = [("qmq_createTime", "1700000000000"), ("k", "v")];
    assert_eq!(pairs(m1.body), owned(&attrs));
    assert_eq!(encode(0, 1_700_000_000_000, 1_700_000_000_400, "order", "m1", &[], &attrs), bytes);
}

#[test]
fn worked_example_of_a_payload_with_two_tags() {
    let bytes = hex(M2);
    assert_eq!((bytes.len(), crc32fast::hash(&bytes)), (72, 0x3230_325a));
    let m2 = Payload::decode(&bytes).unwrap();
    assert!(m2.has_tags());
    assert_eq!(m2.tags().len(), 2);
    assert_eq!(m2.tags().collect::<Vec<_>>(), [b"t1", b"t2"]);
    let attrs = [("qmq_createTime", "1700000000001")];
    assert_eq!(pairs(m2.body), owned(&attrs));
    assert_eq!(encode(4, 1_700_000_000_001, 1_700_000_000_400, "order", "m2", &["t1", "t2"], &attrs), bytes);
    assert_eq!(encode(0, 1_700_000_000_001, 1_700_000_000_400, "order", "m2", &["t1", "t2"], &attrs), bytes);
}

#[test]
fn flags_and_bytes_after_the_body() {
    let mut bytes =
        encode_with_body(FLAG_LOW_RELIABILITY | FLAG_DELAY | FLAG_TAGS, -1, i64::MAX, "", "", &[], &[]);
    let size = bytes.len();
    bytes.extend_from_slice(b"next message");
    let found = Payload::decode(&bytes).unwrap();
    assert!(found.is_delay() && found.is_low_reliability() && found.has_tags());
    assert_eq!((found.tags().count(), found.body.len(), found.size), (0, 0, size));
    assert_eq!((found.create_time_ms, found.expire_or_schedule_time_ms), (-1, i64::MAX));
}

#[test]
fn negative_lengths_are_errors() {
    let head = "00 0000000000000000 0000000000000000";
    let error = |text: &str| Payload::decode(&hex(text)).unwrap_err();
    let negative = |field, length| PayloadError::NegativeLength { field, length };
    assert_eq!(error(&format!("{head} ffff")), negative("subject", -1));
    assert_eq!(error(&format!("{head} 0000 8000")), negative("message id", -32768));
    assert_eq!(error(&format!("{head} 0000 0000 fffffffe")), negative("body", -2));
    let tagged = "04 0000000000000000 0000000000000000 0000 0000";
    assert_eq!(error(&format!("{tagged} ff")), PayloadError::NegativeTagCount(-1));
    assert_eq!(error(&format!("{tagged} 01 fff0")), negative("tags", -16));
    assert_eq!(error(&format!("{head} 0000 0000 00000001")), PayloadError::Truncated("body"));
    assert_eq!(attributes(&hex("ffff 0000")).unwrap_err(), negative("attribute key", -1));
    assert_eq!(attributes(&hex("0001 61 0001")).unwrap_err(), PayloadError::Truncated("attribute value"));
    assert_eq!(attributes(&hex("00")).unwrap_err(), PayloadError::Truncated("attribute key"));
}

#[test]
fn attribute_maps() {
    assert_eq!(pairs(&[]), []);
    let repeated = encode_attributes(&[("a", "1"), ("", ""), ("a", "2"), ("b", "3")]);
    assert_eq!(pairs(&repeated), owned(&[("a", "2"), ("", ""), ("b", "3")]));
    let long = "x".repeat(65_535);
    assert_eq!(pairs(&encode_attributes(&[("k", &long)])), owned(&[("k", &long)]));
    assert!(attributes(&encode_attributes(&[("k", &"x".repeat(65_537))])).is_err());
    assert_eq!(pairs(&hex("0002 61ff 0001 80")), owned(&[("a\u{fffd}", "\u{fffd}")]));
}

proptest! {
    #[test]
    fn encoding_then_decoding_is_identity_and_prefixes_are_truncated(
        flags: u8, create: i64, third: i64, subject: String, id: String,
        tags in vec(any::<String>(), 0..4), body in vec(any::<u8>(), 0..60),
    ) {
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let bytes = encode_with_body(flags, create, third, &subject, &id, &tags, &body);
        let found = Payload::decode(&bytes).unwrap();
        let expected_flags = if tags.is_empty() { flags } else { flags | FLAG_TAGS };
        prop_assert_eq!((found.flags, found.create_time_ms), (expected_flags, create));
        prop_assert_eq!(found.expire_or_schedule_time_ms, third);
        prop_assert_eq!((found.subject, found.message_id), (subject.as_bytes(), id.as_bytes()));
        prop_assert!(found.tags().eq(tags.iter().map(|tag| tag.as_bytes())));
        prop_assert_eq!((found.body, found.size), (body.as_slice(), bytes.len()));
        for end in 0..bytes.len() {
            let error = Payload::decode(&bytes[..end]).unwrap_err();
            prop_assert!(matches!(error, PayloadError::Truncated(_)));
        }
    }

    #[test]
    fn attributes_behave_like_an_ordered_map(attrs in vec(("[a-f]{0,2}", any::<String>()), 0..80)) {
        let given: Vec<(&str, &str)> = attrs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut expected: Vec<(&str, &str)> = Vec::new();
        for (key, value) in &given {
            match expected.iter_mut().find(|(known, _)| known == key) {
                Some((_, known)) => *known = value,
                None => expected.push((key, value)),
            }
        }
        prop_assert_eq!(pairs(&encode_attributes(&given)), owned(&expected));
    }

    #[test]
    fn arbitrary_bytes_stay_inside_the_buffer(
        mut bytes in vec(prop_oneof![4 => Just(0), 1 => 0..8_u8, 1 => any::<u8>()], 0..120),
        flags in 0..8_u8,
    ) {
        let _ = attributes(&bytes);
        if let Some(first) = bytes.first_mut() { *first = flags; }
        if let Ok(found) = Payload::decode(&bytes) {
            prop_assert!(found.size <= bytes.len());
            prop_assert_eq!(found.tags().count(), found.tags().len());
            let text: usize = found.tags().map(|tag| 2 + tag.len()).sum();
            let counted = usize::from(found.has_tags());
            let parts = 25 + found.subject.len() + found.message_id.len() + counted + text + found.body.len();
            prop_assert_eq!(parts, found.size);
        }
    }
}
