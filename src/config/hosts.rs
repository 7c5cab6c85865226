//! Hosts in a `Host` header, an `Origin` header or a setting. Pure: nothing is resolved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Maximum bytes of a name.
const MAX_NAME: usize = 253;

/// A name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// A name in lower case, without a final dot.
    Name(String),
    /// An address; an IPv4-mapped IPv6 address is converted to IPv4.
    Address(IpAddr),
}

/// A host, with a port if one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// Parses `host`, `host:port`, `[v6]` or `[v6]:port`. User information, paths, blanks and escapes are not allowed.
    pub(crate) fn parse(text: &str) -> Option<Authority> {
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            // the zone is ignored: it only names the interface to the address
            let address = match address.split_once('%') {
                Some((address, zone)) if is_zone(zone) => address,
                Some(_) => return None,
                None => address,
            };
            let address: Ipv6Addr = address.parse().ok()?;
            let port = if rest.is_empty() { None } else { port(rest.strip_prefix(':')?)? };
            return Some(Authority { host: Host::Address(address.to_canonical()), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, rest)) => (host, port(rest)?),
            None => (text, None),
        };
        Some(Authority { host: name_or_address(host)?, port })
    }
}

fn name_or_address(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(Host::Address(address.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    };
    let is_name = name.len() <= MAX_NAME && name.split('.').all(is_label);
    is_name.then(|| Host::Name(name.to_ascii_lowercase()))
}

fn is_zone(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~' | b'%'))
}

/// Parses a port; it may be empty.
#[expect(clippy::option_option, reason = "wrong, absent and given are three things")]
fn port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    if !text.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Some)
}

/// A pattern of allowed hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostPattern {
    /// All hosts.
    Any,
    /// Names below this one.
    Below(String),
    /// This host; with a port, only with that port.
    Exactly(Authority),
}

impl HostPattern {
    /// Parses `*`, `*.name`, or a host with or without a port.
    pub(crate) fn parse(text: &str) -> Option<HostPattern> {
        if text == "*" {
            return Some(HostPattern::Any);
        }
        match text.strip_prefix("*.") {
            Some(below) => match name_or_address(below)? {
                Host::Name(name) => Some(HostPattern::Below(format!(".{name}"))),
                Host::Address(_) => None,
            },
            None => Authority::parse(text).map(HostPattern::Exactly),
        }
    }

    /// Whether it allows a host.
    pub(crate) fn matches(&self, authority: &Authority) -> bool {
        match (self, &authority.host) {
            (HostPattern::Any, _) => true,
            (HostPattern::Below(end), Host::Name(name)) => name.ends_with(end) && name.len() > end.len(),
            (HostPattern::Below(_), Host::Address(_)) => false,
            (HostPattern::Exactly(known), host) => {
                known.host == *host && (known.port.is_none() || known.port == authority.port)
            }
        }
    }
}

/// The origin of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    host: Host,
    port: u16,
    is_https: bool,
}

impl Origin {
    /// Parses `http://host` or `https://host`, with or without a port. `null` and other schemes give `None`.
    pub(crate) fn parse(text: &str) -> Option<Origin> {
        let (scheme, rest) = text.split_once("://")?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let Authority { host, port } = Authority::parse(rest)?;
        Some(Origin { host, port: port.unwrap_or(default_port(is_https)), is_https })
    }

    /// Whether this is the origin of the server `own`. Behind a proxy with TLS the server does not know its own scheme, so
    /// the origin's scheme decides about the default port.
    pub(crate) fn is_of(&self, own: &Authority) -> bool {
        self.host == own.host && self.port == own.port.unwrap_or(default_port(self.is_https))
    }
}

fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_in_every_form() {
        let name = |name: &str, port| Authority { host: Host::Name(name.to_owned()), port };
        let address = |address: &str, port| Authority { host: Host::Address(address.parse().unwrap()), port };
        for (text, wanted) in [
            ("localhost", name("localhost", None)),
            ("LocalHost.:8080", name("localhost", Some(8080))),
            ("localhost:", name("localhost", None)),
            ("mq_1.example-2.com:1", name("mq_1.example-2.com", Some(1))),
            ("127.0.0.1:8080", address("127.0.0.1", Some(8080))),
            // no address, so it is no more than a name
            ("127.1", name("127.1", None)),
            ("2130706433", name("2130706433", None)),
            ("127.0.0.1.", name("127.0.0.1", None)),
            ("[::1]", address("::1", None)),
            ("[::1]:80", address("::1", Some(80))),
            ("[::ffff:127.0.0.1]:80", address("127.0.0.1", Some(80))),
            ("[fe80::1%eth0]:80", address("fe80::1", Some(80))),
            ("[fe80::1%25eth0]", address("fe80::1", None)),
        ] {
            assert_eq!(Authority::parse(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            ":",
            ":80",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            " a",
            "a ",
            "user@localhost",
            "localhost:80:80",
            "localhost:http",
            "localhost:-1",
            "localhost:65536",
            "localhost:+80",
            "localhost/",
            "http://localhost",
            "localhost,evil",
            "::1",
            "[::1",
            "[::1]80",
            "[]",
            "[localhost]",
            "[fe80::1%]",
            "[127.0.0.1]",
            "lo%63alhost",
            "ä",
            "*",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        let matches = |pattern: &str, host: &str| {
            HostPattern::parse(pattern).unwrap().matches(&Authority::parse(host).unwrap())
        };
        for (pattern, host) in [
            ("*", "evil.example"),
            ("mq.example.com", "MQ.example.com.:8080"),
            ("mq.example.com:8080", "mq.example.com:8080"),
            ("*.example.com", "a.b.example.com"),
            ("10.0.0.1", "10.0.0.1:80"),
            ("[fd00::1]", "[fd00:0::1]:80"),
        ] {
            assert!(matches(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("mq.example.com", "xmq.example.com"),
            ("mq.example.com", "mq.example.com.evil.org"),
            ("mq.example.com:8080", "mq.example.com"),
            ("*.example.com", "example.com"),
            ("*.example.com", "evilexample.com"),
            ("10.0.0.1", "10.0.0.11"),
        ] {
            assert!(!matches(pattern, host), "{pattern} {host}");
        }
        for pattern in ["", "*.", "a.*", "**", "*.10.0.0.1", "http://a", "a/b"] {
            assert_eq!(HostPattern::parse(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn an_origin_is_own_if_host_and_port_are() {
        let is_own = |origin: &str, own: &str| {
            Origin::parse(origin).is_some_and(|origin| origin.is_of(&Authority::parse(own).unwrap()))
        };
        for (origin, own) in [
            ("http://localhost:8080", "localhost:8080"),
            ("HTTP://LOCALHOST:8080", "localhost:8080"),
            ("http://localhost", "localhost"),
            ("http://localhost:80", "localhost"),
            ("https://mq.example.com", "mq.example.com"),
            ("https://mq.example.com", "mq.example.com:443"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(is_own(origin, own), "{origin} {own}");
        }
        for (origin, own) in [
            ("null", "localhost:8080"),
            ("", "localhost:8080"),
            ("http://localhost:3000", "localhost:8080"),
            ("http://localhost", "localhost:8080"),
            ("http://127.0.0.1:8080", "localhost:8080"),
            ("http://evil.example:8080", "localhost:8080"),
            ("http://localhost:8080/", "localhost:8080"),
            ("http://user@localhost:8080", "localhost:8080"),
            ("http://localhost:8080 http://evil.example", "localhost:8080"),
            ("file://localhost:8080", "localhost:8080"),
            ("chrome-extension://localhost:8080", "localhost:8080"),
            ("localhost:8080", "localhost:8080"),
        ] {
            assert!(!is_own(origin, own), "{origin} {own}");
        }
    }
}
