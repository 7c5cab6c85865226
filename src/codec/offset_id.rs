//! The offset id of a stored message: the broker's address and an offset in its log.
//!
//! Its text is hex digits, as tables and answers show it. Nothing here decides whether a text is such an id.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::cursor::{Cursor, Short};
use super::host::Host;

/// Bytes of an id with an IPv4 address.
const V4_BYTES: usize = 16;

/// An id made of the broker's address and the physical offset of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OffsetId {
    /// The broker as it advertised itself when it stored the record.
    pub host: Host,
    /// Physical offset in its commit log.
    pub offset: i64,
}

impl OffsetId {
    /// Whether the port is possible. Callers have excluded unique ids by their form; a remaining unique id, read as an
    /// offset id, only passes if its process id was a multiple of 65536.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        self.host.port != 0 && self.host.has_valid_port()
    }

    /// Reads the bytes of an id. Their count distinguishes IPv4 from IPv6.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Short> {
        let mut cursor = Cursor::new(bytes);
        let ip = read_ip(&mut cursor)?;
        Ok(Self { host: Host { ip, port: cursor.i32()? }, offset: cursor.i64()? })
    }
}

impl fmt::Display for OffsetId {
    /// Writes 32 (IPv4) or 56 (IPv6) hex digits in upper case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ip(f, self.host.ip)?;
        write!(f, "{:08X}{:016X}", self.host.port, self.offset)
    }
}

/// Reads the address at the start of an offset id. The length of the id distinguishes IPv4 from IPv6.
pub(crate) fn read_ip(cursor: &mut Cursor<'_>) -> Result<IpAddr, Short> {
    if cursor.remaining() == V4_BYTES {
        return Ok(IpAddr::V4(Ipv4Addr::from(cursor.u32()?)));
    }
    let octets = <[u8; 16]>::try_from(cursor.bytes(16)?).map_err(|_| Short)?;
    Ok(IpAddr::from(octets))
}

pub(crate) fn write_ip(f: &mut fmt::Formatter<'_>, ip: IpAddr) -> fmt::Result {
    match ip {
        IpAddr::V4(ip) => write_hex(f, &ip.octets()),
        IpAddr::V6(ip) => write_hex(f, &ip.octets()),
    }
}

pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
}
