//! RocketMQ formats: commit log record, worked examples.

use super::*;

const PULLED: &str = concat!(
    "000000A4DAA320A73610A6860000000300000000000000000000001100000000",
    "00000400000000000000018BCFE568007F0000010000C8220000018BCFE56805",
    "7F00000100002A9F0000000000000000000000000000000568656C6C6F015400",
    "43544147530141024B455953016B3102554E49515F4B45590137463030303030",
    "3130423735313842344141433230303030303030303030303102574149540174",
    "72756502",
);
const STORED: &str = concat!(
    "000000BFDAA320A73610A6860000000200000000000000000000002900000000",
    "40000182000000000000017F92D66272C0A80D010000CD780000017F92D66277",
    "C0A80D0200002A9F0000000000000000000000000000000568656C6C6F0A4F72",
    "646572546F70696300554B455953016F726465722D3130303120757365722D37",
    "02554E49515F4B45590143304138304430313532343031384234414143323531",
    "43373036373230303037025741495401747275650254414753015461674102",
);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[test]
fn writes_the_example_of_a_pull() {
    let message = Message {
        tags: "A".to_owned(),
        keys: "k1".to_owned(),
        unique_key: "7F0000010B7518B4AAC2000000000001".to_owned(),
        properties: vec![("WAIT".to_owned(), "true".to_owned())],
        born_time: Some(1_700_000_000_000),
        ..Message::text("hello")
    };
    let place = Place {
        topic: "T",
        queue: 3,
        queue_offset: 17,
        physical: 1024,
        store_time: 1_700_000_000_005,
        store_host: "127.0.0.1:10911".parse().unwrap(),
    };
    let raw = encode(&message, &place);
    assert_eq!(hex(&raw), PULLED);
    assert_eq!(offset_id(place.store_host, 1024), "7F00000100002A9F0000000000000400");
    let record = Record::parse(&raw);
    assert_eq!(record.index_keys().collect::<Vec<_>>(), ["7F0000010B7518B4AAC2000000000001", "k1"]);
}

#[test]
fn writes_the_example_of_a_log() {
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let message = Message {
        properties: vec![
            property("KEYS", "order-1001 user-7"),
            property("UNIQ_KEY", "C0A80D01524018B4AAC251C706720007"),
            property("WAIT", "true"),
            property("TAGS", "TagA"),
        ],
        born_time: Some(1_647_435_997_810),
        born_host: "192.168.13.1:52600".parse().unwrap(),
        ..Message::text("hello")
    };
    let place = Place {
        topic: "OrderTopic",
        queue: 2,
        queue_offset: 41,
        physical: 0x4000_0182,
        store_time: 1_647_435_997_815,
        store_host: "192.168.13.2:10911".parse().unwrap(),
    };
    assert_eq!(hex(&encode(&message, &place)), STORED);
    assert_eq!(Record::parse(&encode(&message, &place)).tag_code(), 2_598_919);
}

#[test]
fn writes_version_2_for_a_long_topic_and_both_hosts_with_ipv6() {
    let topic = format!("%RETRY%{}_T1", "g".repeat(120));
    let id = "20010DB8000000000000000000010002524018B4AAC251C706720007";
    let properties =
        [("UNIQ_KEY", id), ("RETRY_TOPIC", "T1"), ("DELAY", "3"), ("REAL_TOPIC", &topic), ("REAL_QID", "0")];
    let message = Message {
        properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: vec![0x78, 0x5E, 0x4B, 0x4C, 0xA4, 0x3D, 0, 0, 0x7A, 0x47, 0x25, 0xE5],
        flag: 7,
        sys_flag: 0x301,
        born_time: Some(1_647_435_997_810),
        born_host: "[2001:db8::1:2]:40001".parse().unwrap(),
        reconsume_times: 1,
        ..Message::default()
    };
    let place = Place {
        topic: &topic,
        queue: 0,
        queue_offset: 5,
        physical: 0x8000_0000,
        store_time: 1_647_436_007_820,
        store_host: "[2001:db8::1:9]:10911".parse().unwrap(),
    };
    let raw = encode(&message, &place);
    // The example leaves the last separator out; it is written here.
    assert_eq!(raw.len(), 0x1F3 + 1);
    let head = "DAA320AB03D0FB4A00000000000000070000000000000005000000008000000000000331";
    assert_eq!(hex(&raw[4..40]), head);
    assert_eq!(hex(&raw[48..68]), "20010DB800000000000000000001000200009C41");
    assert_eq!(hex(&raw[96..126]), "0000000100000000000000000000000C785E4B4CA43D00007A4725E50082");
    let record = Record::parse(&raw);
    assert_eq!((record.topic.as_str(), record.store_time), (topic.as_str(), 1_647_436_007_820));
    assert_eq!(record.property("REAL_TOPIC"), Some(topic.as_str()));
    let id = "20010DB800000000000000000001000900002A9F0000000080000000";
    assert_eq!(offset_id(place.store_host, 0x8000_0000), id);
}

#[test]
fn hashes_as_java() {
    assert_eq!(java_hash("A"), 65);
    assert_eq!(java_hash("TAG_PAY"), -829_728_189);
    assert_eq!(java_hash("\u{652F}\u{4ED8}"), 823_177);
    assert_eq!(java_hash("\u{1F600}"), 1_772_899);
    assert_eq!(java_hash("Aa"), java_hash("BB"));
}

#[test]
fn the_last_of_equal_properties_counts() {
    let pairs = split_properties("A\u{2}\u{1}B\u{2}K\u{1}\u{2}K\u{1}V\u{2}K\u{1}W\u{1}X");
    let texts: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(texts, [("K", "V"), ("K", "W\u{1}X")]);
}
