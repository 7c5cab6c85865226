//! Tests of records: the worked examples, each check, the checksums, and properties over made records and noise.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::brokers::rocketmq::format::record_encode::{encode, encode_blank, encode_with_record_crc};
use crate::brokers::rocketmq::format::sys_flag::{Compression, Transaction};

/// Bytes written as hex digits, with any white space.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The record of version 1 of the format description, at physical offset 0x40000182.
pub(crate) fn example_v1() -> Vec<u8> {
    hex("00 00 00 bf da a3 20 a7 36 10 a6 86 00 00 00 02
         00 00 00 00 00 00 00 00 00 00 00 29 00 00 00 00
         40 00 01 82 00 00 00 00 00 00 01 7f 92 d6 62 72
         c0 a8 0d 01 00 00 cd 78 00 00 01 7f 92 d6 62 77
         c0 a8 0d 02 00 00 2a 9f 00 00 00 00 00 00 00 00
         00 00 00 00 00 00 00 05 68 65 6c 6c 6f 0a 4f 72
         64 65 72 54 6f 70 69 63 00 55 4b 45 59 53 01 6f
         72 64 65 72 2d 31 30 30 31 20 75 73 65 72 2d 37
         02 55 4e 49 51 5f 4b 45 59 01 43 30 41 38 30 44
         30 31 35 32 34 30 31 38 42 34 41 41 43 32 35 31
         43 37 30 36 37 32 30 30 30 37 02 57 41 49 54 01
         74 72 75 65 02 54 41 47 53 01 54 61 67 41 02")
}

/// The record of version 2 of the format description, at physical offset 0x80000000.
pub(crate) fn example_v2() -> Vec<u8> {
    let topic = format!("%RETRY%{}_T1", "g".repeat(120));
    let properties = format!(
        "UNIQ_KEY=20010DB8000000000000000000010002524018B4AAC251C706720007;RETRY_TOPIC=T1;DELAY=3;\
         REAL_TOPIC={topic};REAL_QID=0"
    );
    let properties = properties.replace('=', "\u{1}").replace(';', "\u{2}");
    let head = hex("00 00 01 f3 da a3 20 ab 03 d0 fb 4a 00 00 00 00
         00 00 00 07 00 00 00 00 00 00 00 05 00 00 00 00
         80 00 00 00 00 00 03 31 00 00 01 7f 92 d6 62 72
         20 01 0d b8 00 00 00 00 00 00 00 00 00 01 00 02
         00 00 9c 41 00 00 01 7f 92 d6 89 8c 20 01 0d b8
         00 00 00 00 00 00 00 00 00 01 00 09 00 00 2a 9f
         00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 0c
         78 5e 4b 4c a4 3d 00 00 7a 47 25 e5 00 82");
    [&head, topic.as_bytes(), &hex("00 f1"), properties.as_bytes()].concat()
}

fn host(ip: &str, port: i32) -> Host {
    Host { ip: ip.parse().unwrap(), port }
}

#[test]
fn worked_example_of_version_1() {
    let bytes = example_v1();
    let record = decode(&bytes).unwrap();
    assert_eq!((record.version, record.size(), record.body), (Version::V1, 191, b"hello".as_slice()));
    assert_eq!((record.queue_id, record.queue_offset, record.position), (2, 41, 0x4000_0182));
    assert_eq!((record.body_crc, record.flag, record.sys_flag), (0x3610_A686, 0, SysFlag(0)));
    assert_eq!((record.born_timestamp, record.store_timestamp), (1_647_435_997_810, 1_647_435_997_815));
    assert_eq!(record.born_host, host("192.168.13.1", 52600));
    assert_eq!(record.store_host, host("192.168.13.2", 10911));
    assert_eq!((record.reconsume_times, record.prepared_transaction_offset), (0, 0));
    assert_eq!(record.topic_text(), "OrderTopic");
    assert_eq!(record.properties.keys(), ["order-1001", "user-7"]);
    let pairs = [
        ("KEYS", "order-1001 user-7"),
        ("UNIQ_KEY", "C0A80D01524018B4AAC251C706720007"),
        ("WAIT", "true"),
        ("TAGS", "TagA"),
    ];
    let expected: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    assert_eq!(record.properties.pairs().collect::<Vec<_>>(), expected);
    assert_eq!(record.properties_text().len(), 85);
    assert_eq!(record.offset_id().to_string(), "C0A80D0200002A9F0000000040000182");
    assert_eq!(record.sys_flag.transaction(), Transaction::None);
    assert_eq!((record.check_body_crc(), record.check_record_crc()), (Ok(()), Ok(())));
    assert_eq!(outline(&bytes), Ok(Outline { size: 191, position: 0x4000_0182 }));
    let mut encoded = Vec::new();
    encode(&mut encoded, &record);
    assert_eq!(encoded, bytes);
}

#[test]
fn worked_example_of_version_2() {
    let bytes = example_v2();
    assert_eq!(bytes.len(), 499);
    let record = decode(&bytes).unwrap();
    assert_eq!((record.version, record.size(), record.queue_id, record.flag), (Version::V2, 499, 0, 7));
    assert_eq!((record.queue_offset, record.position, record.sys_flag), (5, 0x8000_0000, SysFlag(0x331)));
    assert_eq!((record.born_timestamp, record.store_timestamp), (1_647_435_997_810, 1_647_436_007_820));
    assert_eq!(record.born_host, host("2001:db8::1:2", 40001));
    assert_eq!(record.store_host, host("2001:db8::1:9", 10911));
    assert_eq!((record.reconsume_times, record.topic.len(), record.body.len()), (1, 130, 12));
    assert_eq!(record.sys_flag.compression(), Some(Compression::Zlib));
    assert_eq!(record.properties.get("REAL_TOPIC"), Some(record.topic_text()));
    assert_eq!(record.properties.get("REAL_QID").unwrap(), "0");
    assert_eq!(record.offset_id().to_string(), "20010DB800000000000000000001000900002A9F0000000080000000");
    assert_eq!(record.check_body_crc(), Ok(()));
    assert_eq!(outline(&bytes), Ok(Outline { size: 499, position: 0x8000_0000 }));
    let mut encoded = Vec::new();
    encode(&mut encoded, &record);
    assert_eq!(encoded, bytes);
}

#[test]
fn worked_example_of_the_record_crc() {
    let plain = example_v1();
    let mut bytes = Vec::new();
    encode_with_record_crc(&mut bytes, &decode(&plain).unwrap());
    assert_eq!(bytes.len(), 211);
    assert_eq!(bytes[191..], hex("5F5F435243333223 01 31303732323932323630 02"));
    let record = decode(&bytes).unwrap();
    assert_eq!((record.properties.as_bytes().len(), record.check_record_crc()), (105, Ok(())));
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        // a change of the last property itself can make it an ordinary one
        if let Ok(record) = decode(&bytes)
            && !(191..200).contains(&at)
            && at != 210
        {
            assert!(record.check_record_crc().is_err(), "{at}");
        }
    }
}

#[test]
fn the_highest_bit_of_a_crc_is_not_stored() {
    let mut bytes = Vec::new();
    encode(&mut bytes, &Record { body: b"123456789", ..Record::default() });
    assert_eq!(decode(&bytes).unwrap().body_crc, 0x4BF4_3926);
    assert_eq!(decode(&bytes).unwrap().check_body_crc(), Ok(()));
}

#[test]
fn a_changed_body_does_not_match() {
    let mut bytes = example_v1();
    bytes[0x58] ^= 1;
    assert!(matches!(
        decode(&bytes).unwrap().check_body_crc(),
        Err(RecordError::BodyCrc { stated: 0x3610_A686, .. })
    ));
}

#[test]
fn a_record_at_another_place_is_noticed() {
    let bytes = example_v1();
    let record = decode(&bytes).unwrap();
    let wrong = Err(RecordError::WrongPosition { stated: 0x4000_0182, expected: 0 });
    assert_eq!((record.expect_at(0), record.expect_at(0x4000_0182)), (wrong, Ok(())));
    assert_eq!(outline(&bytes).unwrap().expect_at(0), wrong);
    assert!(Record { position: -1, ..record }.expect_at(u64::MAX).is_err());
}

/// Decodes version 1's example with some bytes replaced.
fn changed(at: usize, with: &[u8]) -> Result<usize, RecordError> {
    let mut bytes = example_v1();
    bytes[at..at + with.len()].copy_from_slice(with);
    decode(&bytes).map(|record| record.size())
}

#[test]
fn bad_sizes_and_magics() {
    for size in [i32::MAX, 0, -1, 7, 90, MAX_RECORD_BYTES as i32 + 1] {
        assert_eq!(changed(0, &size.to_be_bytes()), Err(RecordError::BadSize(size)));
    }
    assert_eq!(changed(0, &192_i32.to_be_bytes()), Err(RecordError::Short { needs: 192, left: 191 }));
    assert!(matches!(
        changed(0, &190_i32.to_be_bytes()),
        Err(RecordError::BadLength { field: "properties", length: 85 })
    ));
    for magic in [0, MAGIC_BLANK, MAGIC_V1 + 1] {
        assert_eq!(changed(4, &magic.to_be_bytes()), Err(RecordError::BadMagic(magic)));
    }
    let mut blank = Vec::new();
    encode_blank(&mut blank, 300);
    assert_eq!((blank.len(), &blank[..8]), (300, hex("00 00 01 2C CB D4 31 94").as_slice()));
    assert_eq!(decode(&blank), Err(RecordError::BadMagic(MAGIC_BLANK)));
}

#[test]
fn bad_lengths() {
    for body in [-1, i32::MAX, i32::MIN, 104] {
        let expected = Err(RecordError::BadLength { field: "body", length: i64::from(body) });
        assert_eq!(changed(84, &body.to_be_bytes()), expected);
    }
    let topic = |length| Err(RecordError::BadLength { field: "topic", length });
    assert_eq!(changed(93, &[0xff]), topic(-1));
    assert_eq!(changed(93, &[98]), topic(98));
    let properties = |length| Err(RecordError::BadLength { field: "properties", length });
    assert_eq!(changed(104, &[0, 86]), properties(86));
    assert_eq!(changed(104, &[0, 84]), Err(RecordError::SizeMismatch { stated: 191, computed: 190 }));
    // a negative length stands for none, and then the size is wrong
    assert_eq!(changed(104, &[0xff, 0xff]), Err(RecordError::SizeMismatch { stated: 191, computed: 106 }));
    // IPv6 hosts that are not there
    assert!(changed(39, &[0x30]).is_err());
}

#[test]
fn a_negative_property_length_with_nothing_behind_it_is_none() {
    let mut bytes = Vec::new();
    encode(&mut bytes, &Record { topic: b"T", ..Record::default() });
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(decode(&bytes).unwrap().properties.as_bytes(), b"");
}

#[test]
fn topics_that_are_too_long() {
    let topic = [b't'; MAX_TOPIC_BYTES + 1];
    let mut bytes = Vec::new();
    encode(&mut bytes, &Record { version: Version::V2, topic: &topic, ..Record::default() });
    assert_eq!(decode(&bytes), Err(RecordError::BadLength { field: "topic", length: 1025 }));
}

#[test]
fn the_smallest_record() {
    let mut bytes = Vec::new();
    encode(&mut bytes, &Record::default());
    assert_eq!(bytes.len(), MIN_RECORD_BYTES);
    assert_eq!(decode(&bytes), Ok(Record { bytes: &bytes, ..Record::default() }));
    for end in 0..MIN_RECORD_BYTES {
        assert!(matches!(decode(&bytes[..end]), Err(RecordError::Short { .. })), "{end}");
    }
}

#[test]
fn an_outline_is_only_given_where_the_lengths_bear_it_out() {
    let mut bytes = example_v1();
    bytes[..4].copy_from_slice(&0x0700_0000_i32.to_be_bytes());
    assert!(matches!(outline(&bytes), Err(RecordError::SizeMismatch { .. })));
    assert!(matches!(outline(&example_v1()[..87]), Err(RecordError::Short { .. })));
    assert!(outline(&example_v1()[..88]).is_ok());
    assert!(outline(&example_v2()[..MAX_HEAD_BYTES]).is_ok());
}

#[test]
fn records_of_a_pull_answer() {
    let good = [example_v1(), example_v2(), example_v1()].concat();
    let mut found = records(&good);
    let sizes: Vec<_> = found.by_ref().map(|record| record.unwrap().size()).collect();
    assert_eq!((sizes, found.offset()), (vec![191, 499, 191], 881));
    let mut torn = records(&good[..500]);
    assert!(torn.next().unwrap().is_ok());
    assert_eq!(torn.next(), Some(Err(RecordError::Short { needs: 499, left: 309 })));
    assert_eq!((torn.offset(), torn.next()), (191, None));
}

fn any_host() -> impl Strategy<Value = Host> {
    (any::<std::net::IpAddr>(), any::<i32>()).prop_map(|(ip, port)| Host { ip, port })
}

proptest! {
    #[test]
    fn round_trip(
        (v2, queue_id, flag, queue_offset, position) in any::<(bool, i32, i32, i64, i64)>(),
        (sys_flag, born_timestamp, store_timestamp) in any::<(i32, i64, i64)>(),
        (reconsume_times, prepared_transaction_offset) in any::<(i32, i64)>(),
        (born_host, store_host) in (any_host(), any_host()),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        topic in proptest::collection::vec(any::<u8>(), 0..128),
        properties in proptest::collection::vec(any::<u8>(), 0..200),
        record_crc: bool,
        tail in proptest::collection::vec(any::<u8>(), 0..9),
    ) {
        let made = Record {
            version: if v2 { Version::V2 } else { Version::V1 },
            queue_id,
            flag,
            queue_offset,
            position,
            sys_flag: SysFlag(sys_flag),
            born_timestamp,
            born_host,
            store_timestamp,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            body: &body,
            topic: &topic,
            properties: Properties::new(&properties),
            ..Record::default()
        };
        let mut bytes = Vec::new();
        if record_crc { encode_with_record_crc(&mut bytes, &made) } else { encode(&mut bytes, &made) }
        let size = bytes.len();
        for end in 0..size {
            prop_assert!(decode(&bytes[..end]).is_err());
        }
        bytes.extend_from_slice(&tail);
        let found = decode(&bytes).unwrap();
        prop_assert_eq!((found.check_body_crc(), found.check_record_crc()), (Ok(()), Ok(())));
        prop_assert_eq!(found.size(), size);
        prop_assert_eq!(outline(&bytes).unwrap(), Outline { size, position });
        prop_assert!(found.properties.as_bytes().starts_with(&properties));
        let v6 = (born_host.ip.is_ipv6(), store_host.ip.is_ipv6());
        let expected = Record {
            sys_flag: made.sys_flag.with_hosts(v6.0, v6.1),
            body_crc: found.body_crc,
            properties: found.properties,
            bytes: found.bytes,
            ..made
        };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn changed_records_never_panic(
        v2: bool,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = if v2 { example_v2() } else { example_v1() };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(record) = decode(&bytes) {
            prop_assert_eq!(outline(&bytes).map(|outline| outline.size), Ok(record.size()));
            let _ = (record.check_body_crc(), record.check_record_crc());
        }
        records(&bytes).for_each(drop);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (decode(&bytes), outline(&bytes));
        records(&bytes).for_each(drop);
    }
}
