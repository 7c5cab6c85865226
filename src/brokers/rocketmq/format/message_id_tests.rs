//! Tests of message ids: worked examples, months and zones, and properties.
#![allow(clippy::unwrap_used, clippy::panic)]

use chrono::FixedOffset;
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;
use crate::codec::host::Host;

fn offset_id(text: &str) -> Option<OffsetId> {
    match MessageId::parse(text) {
        MessageId::Classic { offset, .. } => Some(offset),
        MessageId::Grpc(_) | MessageId::Other => None,
    }
}

const V4: &str = "C0A80D01524018B4AAC251C706720007";
const V6: &str = "20010DB8000000000000000000010002524018B4AAC251C706720007";
const HOUR_MS: i64 = 3_600_000;

fn unique(text: &str) -> UniqueId {
    match MessageId::parse(text) {
        MessageId::Classic { unique, .. } => unique,
        other => panic!("{other:?}"),
    }
}

fn made(span_ms: u32) -> UniqueId {
    UniqueId { span_ms, ..unique(V4) }
}

fn utc8() -> FixedOffset {
    FixedOffset::east_opt(8 * 3600).unwrap()
}

fn ms(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

#[test]
fn worked_example_of_a_unique_id() {
    let id = unique(V4);
    assert_eq!((id.ip, id.pid), ("192.168.13.1".parse().unwrap(), 21056));
    assert_eq!((id.loader, id.span_ms, id.counter), (0x18B4_AAC2, 1_371_997_810, 7));
    let expected = ms("2022-03-16T21:06:37.810+08:00");
    assert_eq!(expected, 1_647_435_997_810);
    let reference = expected + 24 * HOUR_MS;
    assert_eq!(id.near_time(reference, &utc8()), Some(expected));
    assert_eq!(id.near_time(reference, &Tz::Asia__Shanghai), Some(expected));
    assert_eq!(id.near_time(reference, &Tz::UTC), Some(expected + 8 * HOUR_MS));
    let id = unique(V6);
    assert_eq!((id.ip, id.pid), ("2001:db8::1:2".parse().unwrap(), 21056));
    assert_eq!((id.loader, id.span_ms, id.counter), (0x18B4_AAC2, 1_371_997_810, 7));
    assert_eq!((unique(V4).to_string(), id.to_string()), (V4.to_owned(), V6.to_owned()));
    assert_eq!(unique(&V4.to_lowercase()), unique(V4));
}

#[test]
fn worked_example_of_the_month_wrap() {
    let id = made(0x8878_8600);
    let near = |reference| id.near_time(ms(reference), &utc8());
    assert_eq!(near("2022-03-16T21:06:37+08:00"), Some(ms("2022-02-27T12:00:00+08:00")));
    assert_eq!(near("2022-04-20T00:00:00+08:00"), Some(ms("2022-03-27T12:00:00+08:00")));
    assert_eq!(near("2022-02-28T00:00:00+08:00"), Some(ms("2022-02-27T12:00:00+08:00")));
}

#[test]
fn a_span_longer_than_the_previous_month_is_no_time() {
    // 29 days
    let id = made(29 * 86_400_000);
    assert_eq!(id.near_time(ms("2022-03-16T00:00:00+08:00"), &utc8()), None);
    assert_eq!(made(u32::MAX).near_time(ms("2022-01-16T00:00:00Z"), &Tz::UTC), None);
    assert_eq!(id.near_time(i64::MAX, &utc8()), None);
    assert_eq!(id.near_time(i64::MIN, &utc8()), None);
}

#[test]
fn candidates_are_one_for_each_month_that_is_long_enough() {
    let day_30 = made(29 * 86_400_000 + 1);
    let found = day_30.candidates(ms("2022-01-01T00:00:00Z"), ms("2022-04-30T23:00:00Z"), &Tz::UTC);
    let expected =
        ["2022-01-30T00:00:00.001Z", "2022-03-30T00:00:00.001Z", "2022-04-30T00:00:00.001Z"].map(ms);
    assert_eq!(found, expected);
    // both ends count
    assert_eq!(day_30.candidates(expected[0], expected[1], &Tz::UTC), expected[..2]);
    assert!(day_30.candidates(expected[0] + 1, expected[1] - 1, &Tz::UTC).is_empty());
    assert!(day_30.candidates(expected[1], expected[0], &Tz::UTC).is_empty());
    assert!(made(u32::MAX).candidates(i64::MIN, i64::MAX, &Tz::UTC).is_empty());
    assert_eq!(made(0).candidates(i64::MIN, i64::MAX, &Tz::UTC).len(), 1201);
    assert_eq!(unique(V4).candidates(1_647_435_997_810, 1_647_435_997_810, &utc8()), [1_647_435_997_810]);
}

#[test]
fn a_clock_change_makes_a_month_longer() {
    // October 2021 has one hour more in Berlin
    let last_hour = made(31 * 86_400_000 + 1);
    let found =
        last_hour.candidates(ms("2021-01-01T00:00:00Z"), ms("2021-12-31T00:00:00Z"), &Tz::Europe__Berlin);
    assert_eq!(found, [ms("2021-10-31T23:00:00.001+01:00")]);
    // the first of October 2023 began at one o'clock in Asuncion
    let start =
        made(0).candidates(ms("2023-09-20T00:00:00Z"), ms("2023-10-20T00:00:00Z"), &Tz::America__Asuncion);
    assert_eq!(start, [ms("2023-10-01T01:00:00-03:00")]);
}

#[test]
fn worked_examples_of_offset_ids() {
    let v4 = "C0A80D0100002A9F0000000040000182";
    let v6 = "20010DB800000000000000000001000200002A9F0000000040000182";
    for (text, ip) in [(v4, "192.168.13.1"), (v6, "2001:db8::1:2")] {
        let id = offset_id(text).unwrap();
        assert_eq!(id, OffsetId { host: Host { ip: ip.parse().unwrap(), port: 10911 }, offset: 0x4000_0182 });
        assert_eq!((id.to_string(), id.is_plausible()), (text.to_owned(), true));
    }
    for unique in [V4, V6, "C0A80D01000000000000000040000182"] {
        assert!(!offset_id(unique).unwrap().is_plausible());
    }
    assert_eq!(offset_id("C0A80D01FFFFFFFFFFFFFFFFFFFFFFFF").unwrap().offset, -1);
}

#[test]
fn worked_example_of_a_grpc_id() {
    let text = "0156F7E71C361B21BC024CCDBE00000000";
    let MessageId::Grpc(id) = MessageId::parse(text) else { panic!() };
    assert_eq!((id.mac, id.pid), ([0x56, 0xF7, 0xE7, 0x1C, 0x36, 0x1B], 0x21BC));
    assert_eq!((id.seconds, id.sequence), (38_587_838, 0));
    assert_eq!(id.time_ms(), ms("2022-03-23T14:50:38Z"));
    assert_eq!(id.to_string(), text);
}

#[test]
fn everything_else_is_the_applications() {
    let hex = |digits: usize| "0".repeat(digits);
    for text in ["", "order-1", "C0A80D01524018B4AAC251C70672000", &hex(33), &hex(34), &hex(58), &hex(1000)] {
        assert_eq!(MessageId::parse(text), MessageId::Other, "{text}");
    }
    assert_eq!(MessageId::parse(&V4.replace('7', "G")), MessageId::Other);
    assert_eq!(MessageId::parse(&V4.replace("C0", "+0")), MessageId::Other);
    assert_eq!(MessageId::parse("02F7E71C361B21BC024CCDBE0000000000"), MessageId::Other);
    assert_eq!(offset_id("0156F7E71C361B21BC024CCDBE00000000"), None);
}

proptest! {
    #[test]
    fn round_trip(ip: IpAddr, (port, offset) in any::<(i32, i64)>(), bytes: [u8; 16]) {
        let id = OffsetId { host: Host { ip, port }, offset };
        prop_assert_eq!(offset_id(&id.to_string()), Some(id));
        let MessageId::Grpc(grpc) = MessageId::parse(&format!("01{:032x}", u128::from_be_bytes(bytes))) else {
            panic!()
        };
        prop_assert_eq!(MessageId::parse(&grpc.to_string()), MessageId::Grpc(grpc));
        prop_assert_eq!(unique(&id.to_string()).to_string(), id.to_string());
    }

    #[test]
    fn times_lie_before_the_reference_and_in_the_candidates(
        span: u32,
        reference in 1_400_000_000_000..2_000_000_000_000_i64,
    ) {
        let (id, zone) = (made(span), Tz::Asia__Shanghai);
        if let Some(near) = id.near_time(reference, &zone) {
            prop_assert!(near < reference);
            prop_assert!(id.candidates(reference - 62 * 24 * HOUR_MS, reference, &zone).contains(&near));
        }
        for time in id.candidates(reference - 900 * 24 * HOUR_MS, reference, &zone) {
            prop_assert_eq!(id.near_time(time + 1, &zone), Some(time));
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text: String) {
        let _ = MessageId::parse(&text);
    }
}
