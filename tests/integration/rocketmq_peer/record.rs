//! Records of the commit log, versions 1 and 2: written from messages, and read as far as a broker has to know them.
//!
//! Written down a second time on purpose, as the frames are. Bodies are opaque: whoever wants a compressed body gives
//! the compressed bytes and the bits of the system flag.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const V1: u32 = 0xDAA3_20A7;
const V2: u32 = 0xDAA3_20AB;
/// Longest topic of a version 1 record, in bytes.
const MAX_V1_TOPIC_BYTES: usize = 127;
const BORN_V6: i32 = 0x10;
const STORE_V6: i32 = 0x20;
const TRANSACTION: i32 = 0xC;

/// What a test wants stored. Empty texts are left out of the properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Property `TAGS`.
    pub tags: String,
    /// Property `KEYS`: keys with spaces between.
    pub keys: String,
    /// Property `UNIQ_KEY`.
    pub unique_key: String,
    /// Further properties, in order; names may repeat.
    pub properties: Vec<(String, String)>,
    /// The stored body.
    pub body: Vec<u8>,
    /// Flag of the application.
    pub flag: i32,
    /// System flag; the bits of the hosts are set by themselves.
    pub sys_flag: i32,
    /// Client clock in milliseconds; the store time if `None`.
    pub born_time: Option<i64>,
    /// Broker clock in milliseconds; if `None` now, but not before the record in front.
    pub store_time: Option<i64>,
    /// Address of the client.
    pub born_host: SocketAddr,
    /// Address of the broker; the one it has if `None`.
    pub store_host: Option<SocketAddr>,
    /// Number of redeliveries.
    pub reconsume_times: i32,
    /// Physical offset of the half record.
    pub prepared_transaction_offset: i64,
    /// Writes version 2 although the topic is short.
    pub version2: bool,
}

impl Default for Message {
    fn default() -> Self {
        Self {
            tags: String::new(),
            keys: String::new(),
            unique_key: String::new(),
            properties: Vec::new(),
            body: Vec::new(),
            flag: 0,
            sys_flag: 0,
            born_time: None,
            store_time: None,
            born_host: (Ipv4Addr::LOCALHOST, 51_234).into(),
            store_host: None,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            version2: false,
        }
    }
}

impl Message {
    /// A message with only a body.
    pub fn text(body: &str) -> Self {
        Self { body: body.as_bytes().to_vec(), ..Self::default() }
    }

    fn property_text(&self) -> String {
        let named = [("TAGS", &self.tags), ("KEYS", &self.keys), ("UNIQ_KEY", &self.unique_key)];
        let named = named.into_iter().filter(|(_, value)| !value.is_empty());
        let others = self.properties.iter().map(|(name, value)| (name.as_str(), value));
        named.chain(others).map(|(name, value)| format!("{name}\u{1}{value}\u{2}")).collect()
    }
}

/// Where and when a message is stored.
pub(super) struct Place<'a> {
    pub(super) topic: &'a str,
    pub(super) queue: i32,
    pub(super) queue_offset: i64,
    pub(super) physical: i64,
    pub(super) store_time: i64,
    pub(super) store_host: SocketAddr,
}

/// The record of a message.
pub(super) fn encode(message: &Message, place: &Place<'_>) -> Vec<u8> {
    let v2 = message.version2 || place.topic.len() > MAX_V1_TOPIC_BYTES;
    let hosts = if message.born_host.is_ipv6() { BORN_V6 } else { 0 }
        | if place.store_host.is_ipv6() { STORE_V6 } else { 0 };
    let crc = if message.body.is_empty() { 0 } else { crc32fast::hash(&message.body) & 0x7FFF_FFFF };
    let properties = message.property_text();
    let mut out = vec![0; 4];
    out.extend_from_slice(&if v2 { V2 } else { V1 }.to_be_bytes());
    out.extend_from_slice(&crc.to_be_bytes());
    out.extend_from_slice(&place.queue.to_be_bytes());
    out.extend_from_slice(&message.flag.to_be_bytes());
    out.extend_from_slice(&place.queue_offset.to_be_bytes());
    out.extend_from_slice(&place.physical.to_be_bytes());
    out.extend_from_slice(&(message.sys_flag & !(BORN_V6 | STORE_V6) | hosts).to_be_bytes());
    out.extend_from_slice(&message.born_time.unwrap_or(place.store_time).to_be_bytes());
    put_host(&mut out, message.born_host);
    out.extend_from_slice(&place.store_time.to_be_bytes());
    put_host(&mut out, place.store_host);
    out.extend_from_slice(&message.reconsume_times.to_be_bytes());
    out.extend_from_slice(&message.prepared_transaction_offset.to_be_bytes());
    out.extend_from_slice(&(message.body.len() as i32).to_be_bytes());
    out.extend_from_slice(&message.body);
    if v2 {
        out.extend_from_slice(&(place.topic.len() as i16).to_be_bytes());
    } else {
        out.push(place.topic.len() as u8);
    }
    out.extend_from_slice(place.topic.as_bytes());
    let length = i16::try_from(properties.len()).expect("properties of at most 32767 bytes");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(properties.as_bytes());
    let total = out.len() as i32;
    out[..4].copy_from_slice(&total.to_be_bytes());
    out
}

fn put_host(out: &mut Vec<u8>, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&i32::from(host.port()).to_be_bytes());
}

/// Offset message id of a record at an address.
pub fn offset_id(host: SocketAddr, physical: i64) -> String {
    let mut bytes = Vec::new();
    put_host(&mut bytes, host);
    bytes.extend_from_slice(&physical.to_be_bytes());
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A stored record: its bytes, and what a broker has to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The bytes, exactly as in the commit log.
    pub raw: Vec<u8>,
    /// Topic.
    pub topic: String,
    /// Queue id.
    pub queue: i32,
    /// Offset in the queue.
    pub queue_offset: i64,
    /// Offset in the commit log.
    pub physical: i64,
    /// Broker clock in milliseconds.
    pub store_time: i64,
    /// System flag.
    pub sys_flag: i32,
    /// The body as stored.
    pub body: Vec<u8>,
    /// Properties in order; names may repeat.
    pub properties: Vec<(String, String)>,
}

impl Record {
    /// Reads a whole record; panics when it is none.
    pub fn parse(raw: &[u8]) -> Self {
        let i32_at = |at: usize| i32::from_be_bytes(*raw[at..].first_chunk().expect("4 bytes"));
        let i64_at = |at: usize| i64::from_be_bytes(*raw[at..].first_chunk().expect("8 bytes"));
        assert_eq!(i32_at(0) as usize, raw.len(), "size of a record");
        let magic = i32_at(4) as u32;
        assert!([V1, V2].contains(&magic), "magic {magic:08X}");
        let sys_flag = i32_at(36);
        let born = if sys_flag & BORN_V6 == 0 { 8 } else { 20 };
        let store = if sys_flag & STORE_V6 == 0 { 8 } else { 20 };
        let body_at = 72 + born + store;
        let (body, rest) = raw[body_at..].split_at(i32_at(body_at - 4) as usize);
        let two = |bytes: &[u8]| usize::from(u16::from_be_bytes(*bytes.first_chunk().expect("2 bytes")));
        let (topic, rest) =
            if magic == V2 { rest[2..].split_at(two(rest)) } else { rest[1..].split_at(rest[0].into()) };
        let (length, properties) = (two(rest), &rest[2..]);
        assert_eq!(length, properties.len(), "size equality");
        Self {
            topic: String::from_utf8_lossy(topic).into_owned(),
            queue: i32_at(12),
            queue_offset: i64_at(20),
            physical: i64_at(28),
            store_time: i64_at(48 + born),
            sys_flag,
            body: body.to_vec(),
            properties: split_properties(&String::from_utf8_lossy(properties)),
            raw: raw.to_vec(),
        }
    }

    /// The records of an answer.
    pub fn parse_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut records = Vec::new();
        while let Some(size) = bytes.first_chunk() {
            let (raw, rest) = bytes.split_at(i32::from_be_bytes(*size) as usize);
            records.push(Self::parse(raw));
            bytes = rest;
        }
        records
    }

    /// Value of a property; of a repeated one the last.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().rev().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// What the key index knows it by: the unique key and the keys.
    pub fn index_keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.property("KEYS").unwrap_or_default().split(' ').filter(|key| !key.is_empty());
        self.property("UNIQ_KEY").into_iter().chain(keys)
    }

    /// Number of queue offsets it takes: more than 1 for an inner batch.
    pub(super) fn places(&self) -> i64 {
        let batch = self.sys_flag & 0x80 != 0;
        let number = self.property("INNER_NUM").and_then(|number| number.parse().ok());
        number.filter(|number| batch && *number > 0).unwrap_or(1)
    }

    /// Whether the key index knows it: rolled back records are not in it.
    pub(super) fn is_indexed(&self) -> bool {
        self.sys_flag & TRANSACTION != TRANSACTION
    }

    /// What the consume queue keeps of the tag.
    pub(super) fn tag_code(&self) -> i32 {
        java_hash(self.property("TAGS").unwrap_or_default())
    }
}

/// Whether a record with this system flag is in its queue: half and rolled back ones are not.
pub(super) fn is_queued(sys_flag: i32) -> bool {
    matches!(sys_flag & TRANSACTION, 0 | 8)
}

/// Splits property text; pieces without a name or a value are dropped.
pub(super) fn split_properties(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('\u{2}').filter_map(|piece| piece.split_once('\u{1}'));
    let pairs = pairs.filter(|(name, value)| !name.is_empty() && !value.is_empty());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// String hash of Java.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
