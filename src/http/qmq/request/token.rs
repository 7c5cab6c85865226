//! Page tokens: the text a client sends back as `start` to get the next page.
//!
//! A token holds the sort key of the first row not yet returned, so paging needs no state on the server and newer rows
//! do not shift later pages. Clients must treat it as opaque. It is protected against accidents (cut off, mixed up,
//! written by another version), not against forgery: it grants nothing that the query itself could not ask for.
//!
//! Layout before base64url: a version byte; the scope in 8 bytes and the MD5 in 16; second, sequence and store time as
//! zigzag variable-length integers; both groups as length and UTF-8; 4 bytes of checksum over all of it. Fixed-width
//! integers are big-endian.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The only layout so far; another one gets another number, so that an old token is refused instead of misread.
const VERSION: u8 = 1;

const CHECKSUM_LEN: usize = 4;

/// The sort key of the row at which the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageKey {
    /// What the token belongs to, from [`scope`]; the caller compares it with the scope of the query at hand.
    pub scope: u64,
    /// Create time of the row, in epoch seconds.
    pub second: i64,
    /// MD5 of the message id, which orders rows of the same second.
    pub md5: [u8; 16],
    /// Consumer group of the row, empty when it has none.
    pub consumer_group: String,
    /// Broker group of the row.
    pub broker_group: String,
    /// Position of the row in its partition.
    pub sequence: i64,
    /// When the row was stored, in epoch milliseconds.
    pub store_time_ms: i64,
}

/// Why a text is not a page token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// The text is not one this server writes.
    #[error("`start` is not a page token of this server; start again without `start`")]
    Foreign,
    /// The text was cut off or changed on its way.
    #[error("the page token in `start` is damaged; start again without `start`")]
    Damaged,
    /// The token comes from another version of the server.
    #[error(
        "the page token in `start` has version {0}, which this server does not read; start again without `start`"
    )]
    Version(u8),
}

/// A hash of what a token belongs to, so that one of another route or subject can be refused.
#[must_use]
pub fn scope(route: &str, subject: &str) -> u64 {
    // A byte that UTF-8 never contains keeps ("a", "bc") and ("ab", "c") apart.
    let bytes = route.bytes().chain([0xFF]).chain(subject.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl PageKey {
    /// The token as text of the characters `A-Z a-z 0-9 _ -`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.scope.to_be_bytes());
        bytes.extend_from_slice(&self.md5);
        for number in [self.second, self.sequence, self.store_time_ms] {
            push_varint(&mut bytes, zigzag(number));
        }
        for text in [&self.consumer_group, &self.broker_group] {
            push_varint(&mut bytes, text.len() as u64);
            bytes.extend_from_slice(text.as_bytes());
        }
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token written by [`PageKey::encode`]. The scope is not compared with anything here.
    ///
    /// # Errors
    /// [`BadToken`] when the text is no token, is damaged, or has another version.
    pub fn decode(text: &str) -> Result<Self, BadToken> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadToken::Foreign)?;
        let (body, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(BadToken::Foreign)?;
        if checksum(body) != *sum {
            // The version byte tells a token of ours that lost something from a text that never was one.
            return Err(if body.first() == Some(&VERSION) { BadToken::Damaged } else { BadToken::Foreign });
        }
        match body.split_first() {
            Some((&VERSION, fields)) => Self::read(fields).ok_or(BadToken::Damaged),
            Some((&version, _)) => Err(BadToken::Version(version)),
            None => Err(BadToken::Foreign),
        }
    }

    fn read(mut rest: &[u8]) -> Option<Self> {
        let rest = &mut rest;
        let key = Self {
            scope: u64::from_be_bytes(take_array(rest)?),
            md5: take_array(rest)?,
            second: unzigzag(take_varint(rest)?),
            sequence: unzigzag(take_varint(rest)?),
            store_time_ms: unzigzag(take_varint(rest)?),
            consumer_group: take_text(rest)?,
            broker_group: take_text(rest)?,
        };
        rest.is_empty().then_some(key)
    }
}

/// FNV-1a with 32 bits.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, step).to_be_bytes()
}

/// Maps numbers near zero, of either sign, to small unsigned ones.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Writes 7 bits per byte, lowest first; the high bit says that more follow.
fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(byte & 0x7F);
        // The tenth byte has room for one bit only.
        if shift == 63 && byte > 1 {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*array)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take_varint(rest)?).ok()?;
    let (text, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> PageKey {
        PageKey {
            scope: scope("/api/message", "order.paid"),
            second: 1_716_170_400,
            md5: [0xAB; 16],
            consumer_group: "组".to_owned(),
            broker_group: "dev".to_owned(),
            sequence: 336,
            store_time_ms: 1_716_170_400_123,
        }
    }

    /// Base64url of `body` with a correct checksum.
    fn sealed(body: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([body, &checksum(body)].concat())
    }

    #[test]
    fn the_layout_is_stable() {
        // A change here makes tokens that clients hold unreadable: give the layout a new version instead.
        let written = sample().encode();
        assert_eq!(written, "AbyUVyLdf4Jbq6urq6urq6urq6urq6urq8C61eQMoAX2hdG78mMD57uEA2RldvgcAEc");
        assert_eq!(PageKey::decode(&written), Ok(sample()));
    }

    #[test]
    fn hashes_agree_with_published_values() {
        assert_eq!(checksum(b"foobar"), 0xbf9c_f968_u32.to_be_bytes());
        assert_eq!(scope("", ""), 0xaf64_724c_8602_eb6e);
        assert_ne!(scope("/api/message", "a"), scope("/api/message/dead", "a"));
        assert_ne!(scope("a", "bc"), scope("ab", "c"));
    }

    #[test]
    fn refuses_other_texts() {
        let token = sample().encode();
        let cut = &token[..token.len() - 4];
        let mut later = vec![VERSION];
        later.extend([0; 24]);
        let cases = [
            ("", BadToken::Foreign),
            ("zzz", BadToken::Foreign),
            ("@NEXT", BadToken::Foreign),
            ("00000183782957989999ff97aaaaaaaaaaaaaaaaaaaaaaaaaaaa", BadToken::Foreign),
            (cut, BadToken::Damaged),
            (&format!("{token}="), BadToken::Foreign),
            (&format!(" {token}"), BadToken::Foreign),
            (&sealed(&[]), BadToken::Foreign),
            (&sealed(&[2, 0]), BadToken::Version(2)),
            (&sealed(&later), BadToken::Damaged),
            // A length beyond the end, an overlong number, and a byte too many.
            (&sealed(&[&later[..], &[0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]].concat()), BadToken::Damaged),
            (&sealed(&[&later[..], &[0xFF; 11]].concat()), BadToken::Damaged),
            (&sealed(&[&later[..], &[0, 0, 0, 0, 0, 7]].concat()), BadToken::Damaged),
        ];
        for (text, expected) in cases {
            assert_eq!(PageKey::decode(text), Err(expected), "{text}");
            assert!(expected.to_string().ends_with("start again without `start`"));
        }
        assert!(PageKey::decode(&sealed(&[&later[..], &[0; 5]].concat())).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>(), body in any::<Vec<u8>>()) {
            let _ = (PageKey::decode(&text), PageKey::decode(&sealed(&body)));
            let _ = PageKey::decode(&sealed(&[&[VERSION][..], &[7; 24], &body].concat()));
        }

        #[test]
        fn any_key_survives(
            (scope, second, md5) in any::<(u64, i64, [u8; 16])>(),
            (consumer_group, broker_group) in any::<(String, String)>(),
            (sequence, store_time_ms) in any::<(i64, i64)>(),
        ) {
            let key = PageKey { scope, second, md5, consumer_group, broker_group, sequence, store_time_ms };
            let token = key.encode();
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
            prop_assert_eq!(PageKey::decode(&token), Ok(key));
        }

        #[test]
        fn one_changed_character_is_noticed(at in 0_usize..80, with in "[A-Za-z0-9_-]") {
            let token = sample().encode();
            let at = at % token.len();
            let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
            prop_assert_eq!(PageKey::decode(&changed).is_ok(), changed == token);
        }
    }
}
