//! Addresses of clients and brokers in records. Nothing here resolves or connects.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// An address and a port from a record.
///
/// The address family decides how an address is stored and which form an offset id has, so an IPv4-mapped IPv6 address
/// is not converted. Only [`Display`](fmt::Display) and [`Host::canonical_ip`] show it as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// The address.
    pub ip: IpAddr,
    /// The port, stored in 32 bits. A value outside of 0 to 65535 is damage, but is kept.
    pub port: i32,
}

impl Host {
    /// The address to show: IPv4 if it is an IPv4-mapped IPv6 address.
    #[must_use]
    pub const fn canonical_ip(&self) -> IpAddr {
        self.ip.to_canonical()
    }

    /// Parses the form that [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (ip, port) = text.rsplit_once(':')?;
        let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
        Some(Self { ip: ip.parse().ok()?, port: port.parse().ok()? })
    }

    /// Whether the port is between 0 and 65535.
    #[must_use]
    pub fn has_valid_port(&self) -> bool {
        u16::try_from(self.port).is_ok()
    }
}

impl Default for Host {
    /// `0.0.0.0:0`.
    fn default() -> Self {
        Self { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 }
    }
}

impl fmt::Display for Host {
    /// `192.168.13.1:10911` or `[2001:db8::1]:10911`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.canonical_ip() {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_text() {
        let host = |ip: &str, port| Host { ip: ip.parse().unwrap(), port };
        assert_eq!(host("192.168.13.1", 10911).to_string(), "192.168.13.1:10911");
        assert_eq!(host("2001:db8::1:2", -1).to_string(), "[2001:db8::1:2]:-1");
        assert_eq!(host("::ffff:10.0.0.1", 80).to_string(), "10.0.0.1:80");
        assert!(host("::", 65535).has_valid_port() && !host("::", 65536).has_valid_port());
        assert!(!host("::", -1).has_valid_port());
    }
}
