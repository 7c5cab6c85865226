//! Records of the commit log, versions 1 and 2 (RocketMQ formats: commit log record).
//!
//! [`decode`] reads the one record at the start of a buffer, without copying. A pull answer is a concatenation of the
//! same records, see [`records`]. Nothing here opens files, searches for the next magic or looks into the body;
//! records are made by [`super::record_encode`].
//! The checksums are not verified by decoding, because that costs a pass over the bytes: use
//! [`Record::check_body_crc`] and [`Record::check_record_crc`] where bytes can be stale or torn.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::properties::{MAX_PROPERTIES_BYTES, Properties, names};
use super::record_error::RecordError;
use super::sys_flag::SysFlag;
use crate::codec::cursor::{Cursor, Short};
use crate::codec::host::Host;
use crate::codec::offset_id::OffsetId;

/// Magic of records whose topic length takes one byte.
pub const MAGIC_V1: u32 = 0xDAA3_20A7;
/// Magic of records whose topic length takes two bytes.
pub const MAGIC_V2: u32 = 0xDAA3_20AB;
/// Magic of the marker behind the last record of a file.
pub const MAGIC_BLANK: u32 = 0xCBD4_3194;
/// Size of the smallest record: IPv4 hosts, version 1, everything else empty.
pub const MIN_RECORD_BYTES: usize = 91;
/// Largest record that is accepted as one.
pub const MAX_RECORD_BYTES: usize = 128 << 20;
/// Longest topic that is accepted as one; brokers allow 255 bytes.
pub const MAX_TOPIC_BYTES: usize = 1024;
/// Most bytes up to and including the body length: enough for [`outline`].
pub const MAX_HEAD_BYTES: usize = HEAD_BYTES + 2 * HOST_V6_BYTES;

/// Bytes up to and including the body length, without the hosts.
pub(super) const HEAD_BYTES: usize = 72;
const HOST_V4_BYTES: usize = 8;
const HOST_V6_BYTES: usize = 20;
/// Bytes of the property that holds the checksum of the whole record; the last of the record.
pub(super) const RECORD_CRC_BYTES: usize = 20;
/// Checksums are stored without their highest bit.
pub(super) const CRC_MASK: u32 = 0x7FFF_FFFF;

/// Layout of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// The topic length takes one byte.
    #[default]
    V1,
    /// The topic length takes two bytes; written by 5.x brokers for topics of more than 127 bytes.
    V2,
}

impl Version {
    /// The version with this magic, if it is that of a record.
    #[must_use]
    pub const fn from_magic(magic: u32) -> Option<Self> {
        match magic {
            MAGIC_V1 => Some(Self::V1),
            MAGIC_V2 => Some(Self::V2),
            _ => None,
        }
    }

    pub(super) const fn magic(self) -> u32 {
        match self {
            Self::V1 => MAGIC_V1,
            Self::V2 => MAGIC_V2,
        }
    }

    pub(super) const fn topic_length_bytes(self) -> usize {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// A message as stored, borrowed from the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record<'a> {
    /// Layout of the record.
    pub version: Version,
    /// CRC-32 of the stored body without its highest bit; 0 for an absent body.
    pub body_crc: i32,
    /// Number of the queue in the topic.
    pub queue_id: i32,
    /// Application-defined, opaque.
    pub flag: i32,
    /// Index in the queue; 0 for prepared and roll-back records of the old transaction scheme.
    pub queue_offset: i64,
    /// Physical offset in the commit log of the broker that wrote the record.
    pub position: i64,
    /// Bit field.
    pub sys_flag: SysFlag,
    /// Clock of the client when it sent the message, in milliseconds since the Unix epoch. Can be any number.
    pub born_timestamp: i64,
    /// Address of the client.
    pub born_host: Host,
    /// Clock of the broker when it appended the record, in milliseconds since the Unix epoch.
    pub store_timestamp: i64,
    /// Address of the broker.
    pub store_host: Host,
    /// Number of redeliveries so far.
    pub reconsume_times: i32,
    /// Physical offset of the half record of a committed transaction message, else 0.
    pub prepared_transaction_offset: i64,
    /// The body as stored, perhaps compressed, see [`super::body`].
    pub body: &'a [u8],
    /// The topic. It alone decides where the record belongs, whatever the properties name.
    pub topic: &'a [u8],
    /// The properties.
    pub properties: Properties<'a>,
    /// The whole record.
    pub bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Size of the whole record in bytes.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The topic as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn topic_text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.topic)
    }

    /// The property text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn properties_text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.properties.as_bytes())
    }

    /// The id that names broker and physical offset.
    #[must_use]
    pub const fn offset_id(&self) -> OffsetId {
        OffsetId { host: self.store_host, offset: self.position }
    }

    /// Checks that the record belongs where it was read.
    ///
    /// # Errors
    /// [`RecordError::WrongPosition`].
    pub fn expect_at(&self, position: u64) -> Result<(), RecordError> {
        expect_at(self.position, position)
    }

    /// Whether topic or properties end in zeros, or contain as many zeros as a page of a file has. Then that part was
    /// not written yet or was lost in a crash, which no checksum shows, since neither part has one.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        const PAGE: [u8; 4096] = [0; 4096];
        let properties = self.properties.as_bytes();
        let ends_in_zero = |text: &[u8]| text.last() == Some(&0);
        ends_in_zero(self.topic)
            || ends_in_zero(properties)
            || (properties.len() >= PAGE.len() && memchr::memmem::find(properties, &PAGE).is_some())
    }

    /// Checks the CRC of the stored body. An absent body has no CRC.
    ///
    /// # Errors
    /// [`RecordError::BodyCrc`].
    pub fn check_body_crc(&self) -> Result<(), RecordError> {
        let computed = crc32fast::hash(self.body) & CRC_MASK;
        let stated = self.body_crc as u32;
        if self.body.is_empty() || stated == computed {
            Ok(())
        } else {
            Err(RecordError::BodyCrc { stated, computed })
        }
    }

    /// Checks the CRC of the whole record, which a broker appends as the last property if it is configured to.
    ///
    /// # Errors
    /// [`RecordError::RecordCrc`].
    pub fn check_record_crc(&self) -> Result<(), RecordError> {
        let Some((before, stated)) = self.record_crc() else { return Ok(()) };
        let computed = crc32fast::hash(before) & CRC_MASK;
        if stated == u64::from(computed) { Ok(()) } else { Err(RecordError::RecordCrc { stated, computed }) }
    }

    /// The bytes that the CRC of the whole record covers, and the CRC.
    fn record_crc(&self) -> Option<(&'a [u8], u64)> {
        let properties = self.properties.as_bytes();
        let start = properties.len().checked_sub(RECORD_CRC_BYTES)?;
        let digits = properties
            .get(start..)?
            .strip_prefix(names::RECORD_CRC.as_bytes())?
            .strip_prefix(b"\x01")?
            .strip_suffix(b"\x02")?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        // the least significant digit stands first
        let stated = digits.iter().rev().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        Some((self.bytes.get(..self.bytes.len().checked_sub(RECORD_CRC_BYTES)?)?, stated))
    }
}

fn expect_at(stated: i64, expected: u64) -> Result<(), RecordError> {
    if u64::try_from(stated) == Ok(expected) {
        Ok(())
    } else {
        Err(RecordError::WrongPosition { stated, expected })
    }
}

/// What the head of a record says about its extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Size of the whole record in bytes.
    pub size: usize,
    /// Physical offset as stored.
    pub position: i64,
}

impl Outline {
    /// Checks that the record belongs where it was read.
    ///
    /// # Errors
    /// [`RecordError::WrongPosition`].
    pub fn expect_at(&self, position: u64) -> Result<(), RecordError> {
        expect_at(self.position, position)
    }
}

/// Reads the size of the record at the start of `bytes` from its first [`MAX_HEAD_BYTES`] bytes.
///
/// The size is only returned if the other lengths agree with it, so that a reader does not allocate memory for a record
/// that is none.
///
/// # Errors
/// [`RecordError`] if no record can begin like this.
pub fn outline(bytes: &[u8]) -> Result<Outline, RecordError> {
    let short = |Short| RecordError::Short { needs: MAX_HEAD_BYTES.max(bytes.len() + 1), left: bytes.len() };
    let mut cursor = Cursor::new(bytes);
    let size = total_size(cursor.i32().map_err(short)?)?;
    let version = version(cursor.u32().map_err(short)?)?;
    // CRC, queue id, flag and queue offset
    cursor.bytes(20).map_err(short)?;
    let position = cursor.i64().map_err(short)?;
    let sys_flag = SysFlag(cursor.i32().map_err(short)?);
    let hosts = host_bytes(sys_flag.born_host_is_v6()) + host_bytes(sys_flag.store_host_is_v6());
    // both times, reconsume times and prepared transaction offset
    cursor.bytes(hosts + 28).map_err(short)?;
    let body = length("body", cursor.i32().map_err(short)?, size)?;
    let rest = HEAD_BYTES + hosts + version.topic_length_bytes() + 2 + body;
    match size.checked_sub(rest) {
        Some(texts) if texts <= MAX_TOPIC_BYTES + MAX_PROPERTIES_BYTES => Ok(Outline { size, position }),
        _ => Err(RecordError::SizeMismatch { stated: size, computed: rest }),
    }
}

/// Decodes the record at the start of `bytes`; what follows it is not looked at.
///
/// Checks that all lengths lie in the record and add up to its size. It does not check the CRCs, nor that the record
/// belongs where it was read ([`Record::expect_at`]).
///
/// # Errors
/// [`RecordError`]; [`RecordError::Short`] if the record is longer than `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, RecordError> {
    let left = bytes.len();
    let short = |Short| RecordError::Short { needs: MIN_RECORD_BYTES.max(left + 1), left };
    let mut head = Cursor::new(bytes);
    let size = total_size(head.i32().map_err(short)?)?;
    let version = version(head.u32().map_err(short)?)?;
    let bytes = bytes.get(..size).ok_or(RecordError::Short { needs: size, left })?;
    decode_whole(bytes, version).unwrap_or_else(|Short| {
        // the lengths are checked before they are used, so only the fixed parts can run beyond the record
        Err(RecordError::SizeMismatch { stated: size, computed: size.saturating_add(1) })
    })
}

#[inline]
fn decode_whole(bytes: &[u8], version: Version) -> Result<Result<Record<'_>, RecordError>, Short> {
    let size = bytes.len();
    let mut cursor = Cursor::new(bytes);
    // size and magic
    cursor.bytes(8)?;
    let body_crc = cursor.i32()?;
    let queue_id = cursor.i32()?;
    let flag = cursor.i32()?;
    let queue_offset = cursor.i64()?;
    let position = cursor.i64()?;
    let sys_flag = SysFlag(cursor.i32()?);
    let born_timestamp = cursor.i64()?;
    let born_host = host(&mut cursor, sys_flag.born_host_is_v6())?;
    let store_timestamp = cursor.i64()?;
    let store_host = host(&mut cursor, sys_flag.store_host_is_v6())?;
    let reconsume_times = cursor.i32()?;
    let prepared_transaction_offset = cursor.i64()?;
    let body = match length("body", cursor.i32()?, cursor.remaining()) {
        Ok(length) => cursor.bytes(length)?,
        Err(error) => return Ok(Err(error)),
    };
    let topic_length = match version {
        Version::V1 => i32::from(cursor.i8()?),
        Version::V2 => i32::from(cursor.i16()?),
    };
    let topic = match length("topic", topic_length, cursor.remaining().min(MAX_TOPIC_BYTES)) {
        Ok(length) => cursor.bytes(length)?,
        Err(error) => return Ok(Err(error)),
    };
    // old brokers treat a negative length as none; the size shows whether that fits
    let properties_length = i32::from(cursor.i16()?.max(0));
    let properties = match length("properties", properties_length, cursor.remaining()) {
        Ok(length) => Properties::new(cursor.bytes(length)?),
        Err(error) => return Ok(Err(error)),
    };
    if cursor.remaining() != 0 {
        let computed = size - cursor.remaining();
        return Ok(Err(RecordError::SizeMismatch { stated: size, computed }));
    }
    Ok(Ok(Record {
        version,
        body_crc,
        queue_id,
        flag,
        queue_offset,
        position,
        sys_flag,
        born_timestamp,
        born_host,
        store_timestamp,
        store_host,
        reconsume_times,
        prepared_transaction_offset,
        body,
        topic,
        properties,
        bytes,
    }))
}

fn total_size(stored: i32) -> Result<usize, RecordError> {
    usize::try_from(stored)
        .ok()
        .filter(|size| (MIN_RECORD_BYTES..=MAX_RECORD_BYTES).contains(size))
        .ok_or(RecordError::BadSize(stored))
}

fn version(magic: u32) -> Result<Version, RecordError> {
    Version::from_magic(magic).ok_or(RecordError::BadMagic(magic))
}

fn length(field: &'static str, stored: i32, limit: usize) -> Result<usize, RecordError> {
    usize::try_from(stored)
        .ok()
        .filter(|length| *length <= limit)
        .ok_or(RecordError::BadLength { field, length: i64::from(stored) })
}

pub(super) const fn host_bytes(is_v6: bool) -> usize {
    if is_v6 { HOST_V6_BYTES } else { HOST_V4_BYTES }
}

#[inline]
fn host(cursor: &mut Cursor<'_>, is_v6: bool) -> Result<Host, Short> {
    let ip = if is_v6 {
        let octets = <[u8; 16]>::try_from(cursor.bytes(16)?).map_err(|_| Short)?;
        IpAddr::V6(Ipv6Addr::from(octets))
    } else {
        IpAddr::V4(Ipv4Addr::from(cursor.u32()?))
    };
    Ok(Host { ip, port: cursor.i32()? })
}

/// The records of a pull answer, or of any bytes in which they stand one behind the other.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    failed: bool,
}

/// Iterates over the records in `bytes`; ends behind the first that is none.
#[must_use]
pub const fn records(bytes: &[u8]) -> Records<'_> {
    Records { bytes, at: 0, failed: false }
}

impl Records<'_> {
    /// Position of the next record in the bytes, or of the record that could not be decoded.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty() && !self.failed)?;
        let record = decode(rest);
        match &record {
            Ok(record) => self.at += record.size(),
            Err(_) => self.failed = true,
        }
        Some(record)
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(crate) mod tests;
