//! Page tokens: the text that a client sends back to get the next page.
//!
//! A token holds the place of the first row not yet returned, so paging needs no state on the server, and newer rows do
//! not shift later pages. To clients it is opaque. It is protected against accidents (cut off, mixed up, written by
//! another version), not against forgery: it grants nothing that the query itself could not ask for.
//!
//! It never decides what a wrong token is answered: each face has texts of its own.
//!
//! Layout before base64url: 4 bytes of CRC-32, big-endian, over all that follows; then JSON: the version `v`, the CRC-32
//! of the query `q`, and the place `p`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// Version of the layout; another one gets another number, so that an old token is refused instead of misread.
const VERSION: u8 = 1;
/// How the JSON of every version begins, by which a damaged token is known from a text that never was one.
const BEGIN: &[u8] = br#"{"v":"#;
/// Longest text that is looked at, as long as the head of a request may be by default. Those written have a few hundred
/// characters: the names in a place are as short as brokers allow.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// Why a text does not lead to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// The text is not one this server writes.
    Foreign,
    /// The text was cut off or changed on its way.
    Damaged,
    /// The token comes from another version of the server.
    Version(u8),
    /// The token belongs to another query.
    OtherQuery,
}

#[derive(Serialize, Deserialize)]
struct Token<P> {
    v: u8,
    q: u32,
    p: P,
}

/// A token of the characters `A-Z a-z 0-9 _ -` for the page that begins at `place`.
///
/// `query` is everything that the pages of one query have in common. A place is as stable as its names in JSON: whoever
/// changes them makes tokens that clients hold unreadable.
#[must_use]
pub fn encode<P: Serialize>(query: &str, place: &P) -> String {
    let token = Token { v: VERSION, q: crc32fast::hash(query.as_bytes()), p: place };
    // numbers and texts always become JSON
    let body = serde_json::to_vec(&token).unwrap_or_default();
    let mut bytes = crc32fast::hash(&body).to_be_bytes().to_vec();
    bytes.extend(body);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the page of a token of [`encode`] begins.
///
/// # Errors
/// [`BadToken`], if the text is not a token of this query.
pub fn decode<P: DeserializeOwned>(query: &str, text: &str) -> Result<P, BadToken> {
    let bytes = bytes_of(text)?;
    let (sum, body) = bytes.split_first_chunk().ok_or(BadToken::Foreign)?;
    if !body.starts_with(BEGIN) {
        return Err(BadToken::Foreign);
    }
    if crc32fast::hash(body) != u32::from_be_bytes(*sum) {
        return Err(BadToken::Damaged);
    }
    // the place comes last: those of another version or query need not be readable
    let any: Token<IgnoredAny> = serde_json::from_slice(body).map_err(|_| BadToken::Damaged)?;
    if any.v != VERSION {
        return Err(BadToken::Version(any.v));
    }
    if any.q != crc32fast::hash(query.as_bytes()) {
        return Err(BadToken::OtherQuery);
    }
    let token: Token<P> = serde_json::from_slice(body).map_err(|_| BadToken::Damaged)?;
    Ok(token.p)
}

/// The bytes of a token of any layout.
pub(super) fn bytes_of(text: &str) -> Result<Vec<u8>, BadToken> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(BadToken::Foreign);
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|_| BadToken::Foreign)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::lookup::{MessageKey, MessagePlace};

    const QUERY: &str = "rocketmq\norders";

    fn place() -> MessagePlace {
        MessagePlace {
            time: 1_716_170_400_123,
            topic: "orders".to_owned(),
            broker: "broker-a".to_owned(),
            queue_id: 3,
            queue_offset: 336,
            kind: "normal".to_owned(),
            consumer_group: String::new(),
            physical_offset: 1_073_741_824,
        }
    }

    /// Base64url of `body` with a correct checksum.
    fn sealed(body: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([&crc32fast::hash(body).to_be_bytes(), body].concat())
    }

    fn read(text: &str) -> Result<MessagePlace, BadToken> {
        decode(QUERY, text)
    }

    #[test]
    fn the_layout_is_stable() {
        // a change here makes tokens that clients hold unreadable: give the layout a new version instead
        let written = encode(QUERY, &place());
        assert_eq!(
            written,
            "2jHmpnsidiI6MSwicSI6Mjg2NjAwNTc0OSwicCI6eyJ0aW1lIjoxNzE2MTcwNDAwMTIzLCJ0b3BpYyI6Im9yZGVycyIsImJyb2tlciI6ImJyb2tlci1hIiwicXVldWVfaWQiOjMsInF1ZXVlX29mZnNldCI6MzM2LCJraW5kIjoibm9ybWFsIiwiY29uc3VtZXJfZ3JvdXAiOiIiLCJwaHlzaWNhbF9vZmZzZXQiOjEwNzM3NDE4MjR9fQ"
        );
        assert_eq!(read(&written), Ok(place()));
        let key = MessageKey {
            second: std::cmp::Reverse(1_716_170_400),
            md5: [0xAB; 16],
            consumer_group: "组".to_owned(),
            broker_group: "dev".to_owned(),
            sequence: 336,
        };
        let written = encode("message\norder.paid", &key);
        assert_eq!(
            written,
            "SdJoE3sidiI6MSwicSI6MzAwMjMzNjY4MSwicCI6eyJzZWNvbmQiOjE3MTYxNzA0MDAsIm1kNSI6WzE3MSwxNzEsMTcxLDE3MSwxNzEsMTcxLDE3MSwxNzEsMTcxLDE3MSwxNzEsMTcxLDE3MSwxNzEsMTcxLDE3MV0sImNvbnN1bWVyX2dyb3VwIjoi57uEIiwiYnJva2VyX2dyb3VwIjoiZGV2Iiwic2VxdWVuY2UiOjMzNn19"
        );
        assert_eq!(decode("message\norder.paid", &written), Ok(key));
    }

    #[test]
    fn refuses_other_texts() {
        let token = encode(QUERY, &place());
        let query = crc32fast::hash(QUERY.as_bytes());
        let with = |version: &str, query: u32, place: &str| {
            sealed(format!(r#"{{"v":{version},"q":{query},"p":{place}}}"#).as_bytes())
        };
        let cases = [
            ("", BadToken::Foreign),
            ("zzz", BadToken::Foreign),
            ("00000183782957989999ff97aaaaaaaaaaaaaaaaaaaaaaaaaaaa", BadToken::Foreign),
            // cut behind whole groups of base64, and inside of one
            (&token[..token.len() / 4 * 4 - 4], BadToken::Damaged),
            (&token[..token.len() / 4 * 4 - 3], BadToken::Foreign),
            (&format!("{token}="), BadToken::Foreign),
            (&format!(" {token}"), BadToken::Foreign),
            (&"A".repeat(MAX_TEXT_BYTES + 4), BadToken::Foreign),
            (&sealed(b""), BadToken::Foreign),
            (&sealed(br#"{"v":"#), BadToken::Damaged),
            (&with("2", query, r#""another form""#), BadToken::Version(2)),
            (&with("300", query, "{}"), BadToken::Damaged),
            (&with("1", query, "{}"), BadToken::Damaged),
            (&with("1", query ^ 1, "{}"), BadToken::OtherQuery),
            (&encode("another", &place()), BadToken::OtherQuery),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>(), body in any::<Vec<u8>>()) {
            let _ = (read(&text), read(&sealed(&body)), read(&sealed(&[BEGIN, &body].concat())));
        }

        #[test]
        fn any_place_reads_back(
            (query, topic, broker) in any::<(String, String, String)>(),
            (time, queue_id, queue_offset, physical_offset) in any::<(i64, i64, i64, i64)>(),
            (kind, consumer_group) in any::<(String, String)>(),
        ) {
            let place =
                MessagePlace { time, topic, broker, queue_id, queue_offset, kind, consumer_group, physical_offset };
            let token = encode(&query, &place);
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            prop_assert_eq!(decode(&query, &token), Ok(place));
        }

        #[test]
        fn any_key_reads_back(
            (second, md5, sequence) in any::<(i64, [u8; 16], i64)>(),
            (query, consumer_group, broker_group) in any::<(String, String, String)>(),
        ) {
            let second = std::cmp::Reverse(second);
            let key = MessageKey { second, md5, consumer_group, broker_group, sequence };
            prop_assert_eq!(decode(&query, &encode(&query, &key)), Ok(key));
        }

        #[test]
        fn one_changed_character_is_noticed(at in any::<proptest::sample::Index>(), with in "[A-Za-z0-9_-]") {
            let token = encode(QUERY, &place());
            let at = at.index(token.len());
            let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
            prop_assert_eq!(read(&changed).is_ok(), changed == token);
        }
    }
}
