//! Encodes records of the commit log, for tests, fixtures and simulators.
//!
//! It writes what [`super::record::decode`] reads, byte for byte as a broker does. Nothing is checked: a record that
//! breaks the limits of the format is written all the same.

use std::net::IpAddr;

use super::properties::Properties;
use super::record::{CRC_MASK, HEAD_BYTES, MAGIC_BLANK, RECORD_CRC_BYTES, Record, Version, host_bytes};
use crate::codec::host::Host;

/// Digits of the CRC of the whole record.
const RECORD_CRC_DIGITS: usize = 10;

/// Appends a record.
///
/// Size, body CRC and the address bits of `sys_flag` come from the other fields; `bytes` is not used. As in the
/// format, a topic may have 127 bytes (version 2: 32767) and the properties 32767; longer ones make the record
/// unreadable.
pub fn encode(out: &mut Vec<u8>, record: &Record<'_>) {
    let sys_flag = record.sys_flag.with_hosts(record.born_host.ip.is_ipv6(), record.store_host.ip.is_ipv6());
    let properties = record.properties.as_bytes();
    let hosts = host_bytes(sys_flag.born_host_is_v6()) + host_bytes(sys_flag.store_host_is_v6());
    let texts = record.version.topic_length_bytes() + record.topic.len() + 2 + properties.len();
    let size = HEAD_BYTES + hosts + record.body.len() + texts;
    out.reserve(size);
    out.extend_from_slice(&(size as u32).to_be_bytes());
    out.extend_from_slice(&record.version.magic().to_be_bytes());
    out.extend_from_slice(&(crc32fast::hash(record.body) & CRC_MASK).to_be_bytes());
    out.extend_from_slice(&record.queue_id.to_be_bytes());
    out.extend_from_slice(&record.flag.to_be_bytes());
    out.extend_from_slice(&record.queue_offset.to_be_bytes());
    out.extend_from_slice(&record.position.to_be_bytes());
    out.extend_from_slice(&sys_flag.0.to_be_bytes());
    out.extend_from_slice(&record.born_timestamp.to_be_bytes());
    put_host(out, &record.born_host);
    out.extend_from_slice(&record.store_timestamp.to_be_bytes());
    put_host(out, &record.store_host);
    out.extend_from_slice(&record.reconsume_times.to_be_bytes());
    out.extend_from_slice(&record.prepared_transaction_offset.to_be_bytes());
    out.extend_from_slice(&(record.body.len() as u32).to_be_bytes());
    out.extend_from_slice(record.body);
    match record.version {
        Version::V1 => out.push(record.topic.len() as u8),
        Version::V2 => out.extend_from_slice(&(record.topic.len() as u16).to_be_bytes()),
    }
    out.extend_from_slice(record.topic);
    out.extend_from_slice(&(properties.len() as u16).to_be_bytes());
    out.extend_from_slice(properties);
}

/// Appends a record with the CRC of the whole record as its last property.
pub fn encode_with_record_crc(out: &mut Vec<u8>, record: &Record<'_>) {
    const NO_DIGITS: &[u8] = b"__CRC32#\x010000000000\x02";
    let start = out.len();
    let properties = [record.properties.as_bytes(), NO_DIGITS].concat();
    encode(out, &Record { properties: Properties::new(&properties), ..*record });
    out.truncate(out.len().saturating_sub(RECORD_CRC_DIGITS + 1));
    let covered = out.len().saturating_sub(RECORD_CRC_BYTES - RECORD_CRC_DIGITS - 1);
    let mut rest = crc32fast::hash(out.get(start..covered).unwrap_or_default()) & CRC_MASK;
    for _ in 0..RECORD_CRC_DIGITS {
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
    }
    out.push(b'\x02');
}

/// Appends the marker that ends a file: `left` bytes in all, of which only the first 8 have a meaning.
pub fn encode_blank(out: &mut Vec<u8>, left: usize) {
    let end = out.len().saturating_add(left);
    out.extend_from_slice(&(left as u32).to_be_bytes());
    out.extend_from_slice(&MAGIC_BLANK.to_be_bytes());
    out.resize(end, 0);
}

fn put_host(out: &mut Vec<u8>, host: &Host) {
    match host.ip {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    out.extend_from_slice(&host.port.to_be_bytes());
}
