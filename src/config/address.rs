//! Addresses of the form `host:port`, alone or as a list. Only the form is checked; no name is resolved.

use std::fmt;
use std::net::Ipv6Addr;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::error::{Error, Result};

/// Maximum bytes of a host.
const MAX_HOST: usize = 255;

/// An error unless `text` of the setting `name` is a host name, an IPv4 address or an IPv6 address in brackets,
/// then `:` and a port from 1 to 65535.
pub(super) fn check(name: &str, text: &str) -> Result<()> {
    let is_address = text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port));
    if is_address {
        return Ok(());
    }
    Err(Error::Config(format!(
        "{name} has `{}`; an address is host:port, such as 10.0.0.1:9876 or [fd00::1]:9876",
        text.escape_debug()
    )))
}

fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=MAX_HOST).contains(&text.len()) && text.chars().all(allowed)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A list of texts, or one text with `;` or `,` between the entries, as RocketMQ's own settings write it.
pub(super) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct Addresses;

    impl<'de> Visitor<'de> for Addresses {
        type Value = Vec<String>;

        fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
            to.write_str("addresses, such as [\"10.0.0.1:9876\", \"10.0.0.2:9876\"] or \"10.0.0.1:9876;10.0.0.2:9876\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let entries = text.split([';', ',']).map(str::trim).filter(|entry| !entry.is_empty());
            Ok(entries.map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }

    from.deserialize_any(Addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        let good = ["a:1", "mq-1.example_2:9876", "10.0.0.1:65535", "[::1]:9876", "[fd00::1]:1"];
        for text in good {
            check("x", text).unwrap();
        }
        let long = format!("{}:1", "a".repeat(256));
        let wrong = [
            "",
            ":",
            "a",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "a:+1",
            "a: 1",
            " a:1",
            "a:1 ",
            "a b:1",
            "a:b",
            "::1:9876",
            "[::1]",
            "[a]:1",
            "[::1:1",
            "http://a:1",
            "a/b:1",
            "a:1;b:1",
            "ä:1",
            "a\n:1",
            &long,
        ];
        for text in wrong {
            let error = check("rocketmq[0].name_servers", text).unwrap_err().to_string();
            assert!(error.contains("rocketmq[0].name_servers has `"), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_list_may_be_one_text() {
        let read = |text: &str| list(&mut serde_json::Deserializer::from_str(text));
        let cases: [(&str, &[&str]); 7] = [
            (r#""a:1""#, &["a:1"]),
            (r#""a:1;b:2""#, &["a:1", "b:2"]),
            (r#""a:1, b:2,c:3;""#, &["a:1", "b:2", "c:3"]),
            (r#"["a:1", "b:2"]"#, &["a:1", "b:2"]),
            (r#"["a:1;b:2"]"#, &["a:1;b:2"]),
            (r#""""#, &[]),
            ("[]", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        for wrong in ["1", "true", "{}", "[1]", "null"] {
            read(wrong).unwrap_err();
        }
    }
}
