//! Walks arbitrary bytes as records of a commit log, and reads them as what stands in one: properties, a compressed
//! body, an inner batch. What decodes encodes again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::rocketmq::format::body::{BodyState, Decompressor};
use mqlake_fuzz::brokers::rocketmq::format::message_id::MessageId;
use mqlake_fuzz::brokers::rocketmq::format::properties::{Properties, names};
use mqlake_fuzz::brokers::rocketmq::format::record::{
    MAX_RECORD_BYTES, MIN_RECORD_BYTES, Record, decode, outline, records,
};
use mqlake_fuzz::brokers::rocketmq::format::record_encode::{encode, encode_with_record_crc};
use mqlake_fuzz::brokers::rocketmq::format::sys_flag::SysFlag;
use mqlake_fuzz::brokers::rocketmq::format::topics::classify;
use mqlake_fuzz::brokers::rocketmq::format::{inner_batch, properties};

const MAX_BODY: usize = 1 << 16;
/// zlib, LZ4, Zstandard, unknown.
const COMPRESSED: [i32; 4] = [0x1, 0x101, 0x201, 0x701];

fn check_properties(stored: Properties<'_>) {
    let mut pairs = stored.pairs();
    let read: Vec<(&[u8], &[u8])> = pairs.by_ref().collect();
    assert!(read.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
    let map = stored.to_map();
    assert_eq!(map.get(names::KEYS.as_bytes()).copied(), stored.get_bytes(names::KEYS));
    let keys = stored.keys();
    assert!(keys.iter().all(|key| !key.is_empty() && !key.contains(' ')));
    let _ = (stored.first(names::UNIQUE_KEY), stored.number(names::DELAY));
    let texts = read
        .iter()
        .map(|(name, value)| Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?)));
    if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
        let mut again = Vec::new();
        properties::encode(&mut again, texts);
        assert!(Properties::new(&again).pairs().eq(read));
    }
}

fn check_body(decompressor: &mut Decompressor, sys_flag: SysFlag, stored: &[u8]) -> Vec<u8> {
    let size = decompressor.size(sys_flag, stored, MAX_BODY);
    let body = decompressor.body(sys_flag, stored, MAX_BODY);
    assert_eq!((size.bytes, size.state), (body.bytes.len(), body.state));
    // what was decoded before must not matter
    assert_eq!(body, Decompressor::new().body(sys_flag, stored, MAX_BODY));
    match body.state {
        BodyState::Plain | BodyState::Undecodable => assert_eq!(&*body.bytes, stored),
        BodyState::Decompressed | BodyState::Guessed => assert!(body.bytes.len() <= MAX_BODY),
        BodyState::Truncated => assert_eq!(body.bytes.len(), MAX_BODY),
    }
    body.bytes.into_owned()
}

fn check_batch(body: &[u8]) {
    let mut items = inner_batch::items(body);
    let read: Vec<_> = items.by_ref().collect();
    let mut again = Vec::new();
    for item in &read {
        check_properties(item.properties);
        inner_batch::encode(&mut again, item.flag, item.body, item.properties.as_bytes());
    }
    assert_eq!(again.len() + items.rest().len(), body.len());
    assert!(inner_batch::items(&again).eq(read));
}

fn check_record(decompressor: &mut Decompressor, record: &Record<'_>, bytes: &[u8]) {
    assert!((MIN_RECORD_BYTES..=MAX_RECORD_BYTES).contains(&record.size()));
    assert_eq!(record.bytes, bytes);
    let head = outline(bytes).expect("a whole record has an outline");
    assert_eq!((head.size, head.position), (record.size(), record.position));
    let _ = (record.check_body_crc(), record.check_record_crc());
    let read = MessageId::parse(&record.offset_id().to_string());
    assert!(matches!(read, MessageId::Classic { offset, .. } if offset == record.offset_id()));

    let mut again = Vec::new();
    encode(&mut again, record);
    let read = decode(&again).expect("an encoded record decodes");
    assert_eq!(read, Record { body_crc: read.body_crc, bytes: &again, ..*record });
    read.check_body_crc().expect("an encoded record has the right checksum");
    if record.properties.as_bytes().len() + 20 <= properties::MAX_PROPERTIES_BYTES {
        again.clear();
        encode_with_record_crc(&mut again, record);
        let read = decode(&again).expect("an encoded record decodes");
        read.check_record_crc().expect("an encoded record has the right checksum");
    }

    check_properties(record.properties);
    let body = check_body(decompressor, record.sys_flag, record.body);
    if record.sys_flag.is_inner_batch() {
        check_batch(&body);
    }
    let (topic, text) = (record.topic_text(), record.properties_text());
    let property = |name: &str| {
        let pairs = text.split('\u{2}').filter_map(|pair| pair.split_once('\u{1}'));
        pairs.filter(|pair| pair.0 == name).last().map(|pair| pair.1)
    };
    classify::<&str>(&topic, &property, &[], &|group| group.len() < 4);
}

fuzz_target!(|data: &[u8]| {
    let mut decompressor = Decompressor::new();
    let mut walk = records(data);
    loop {
        let at = walk.offset();
        match walk.next() {
            Some(Ok(record)) => check_record(&mut decompressor, &record, &data[at..walk.offset()]),
            Some(Err(_)) => assert_eq!(walk.offset(), at),
            None => break,
        }
    }
    let _ = outline(data);
    check_properties(Properties::new(data));
    check_batch(data);
    for bits in COMPRESSED {
        check_body(&mut decompressor, SysFlag(bits), data);
    }
});
