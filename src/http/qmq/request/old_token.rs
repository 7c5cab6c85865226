//! Page tokens of the first layout. Servers wrote it until the layout of [`page_token`](crate::http::page_token); it is
//! read so that a client can go on paging when its server is replaced, and never written.
//!
//! Layout before base64url: a version byte; a hash of table and subject in 8 bytes and the MD5 in 16; second, sequence
//! and store time as zigzag variable-length integers; both groups as length and UTF-8; 4 bytes of checksum over all of
//! it. Fixed-width integers are big-endian; both hashes are FNV-1a.

use crate::http::page_token::{BadToken, bytes_of};

/// The version byte of the layout.
const VERSION: u8 = 1;

/// The row at which the page of a token begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldToken {
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
}

impl OldToken {
    /// Reads a token of a list: a table and a subject.
    ///
    /// # Errors
    /// [`BadToken`], if the text is not a token of this list in the first layout.
    pub fn decode(table: &str, subject: &str, text: &str) -> Result<Self, BadToken> {
        let bytes = bytes_of(text)?;
        let (body, sum) = bytes.split_last_chunk().ok_or(BadToken::Foreign)?;
        // the version byte distinguishes a token that lost something from a text that never was one
        let Some((&VERSION, fields)) = body.split_first() else { return Err(BadToken::Foreign) };
        if checksum(body) != *sum {
            return Err(BadToken::Damaged);
        }
        let (list, token) = Self::read(fields).ok_or(BadToken::Damaged)?;
        if list == scope(table, subject) { Ok(token) } else { Err(BadToken::OtherQuery) }
    }

    /// The hash of what the token belongs to, and the row.
    fn read(mut rest: &[u8]) -> Option<(u64, Self)> {
        let rest = &mut rest;
        let scope = u64::from_be_bytes(take_array(rest)?);
        let md5 = take_array(rest)?;
        let second = take_number(rest)?;
        let sequence = take_number(rest)?;
        let _store_time = take_number(rest)?;
        let consumer_group = take_text(rest)?;
        let broker_group = take_text(rest)?;
        rest.is_empty().then_some((scope, Self { second, md5, consumer_group, broker_group, sequence }))
    }
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*array)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(take_unsigned(rest)?).ok()?;
    let (text, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    String::from_utf8(text.to_vec()).ok()
}

/// A number of either sign: zigzag.
fn take_number(rest: &mut &[u8]) -> Option<i64> {
    let number = take_unsigned(rest)?;
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

/// 7 bits a byte, lowest first; the high bit says that more follow.
fn take_unsigned(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take_array(rest)?;
        // the tenth byte has room for one bit only
        if shift == 63 && byte > 1 {
            return None;
        }
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// FNV-1a with 32 bits.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, step).to_be_bytes()
}

/// FNV-1a with 64 bits.
fn scope(table: &str, subject: &str) -> u64 {
    // a byte that UTF-8 never contains keeps ("a", "bc") and ("ab", "c") apart
    let bytes = table.bytes().chain([0xFF]).chain(subject.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    /// What the first layout's server wrote for [`written`] in `message` of `order.paid`.
    const WRITTEN: &str = "AX8mZva8dKIxq6urq6urq6urq6urq6urq8C61eQMoAUAA-e7hANkZXZ3KlY3";

    fn written() -> OldToken {
        OldToken {
            second: 1_716_170_400,
            md5: [0xAB; 16],
            consumer_group: "组".to_owned(),
            broker_group: "dev".to_owned(),
            sequence: 336,
        }
    }

    /// Base64url of `body` with a correct checksum.
    fn sealed(body: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([body, &checksum(body)].concat())
    }

    fn read(text: &str) -> Result<OldToken, BadToken> {
        OldToken::decode("message", "order.paid", text)
    }

    #[test]
    fn tokens_that_clients_hold_are_read() {
        assert_eq!(read(WRITTEN), Ok(written()));
        assert_eq!(OldToken::decode("dead_message", "order.paid", WRITTEN), Err(BadToken::OtherQuery));
        assert_eq!(OldToken::decode("message", "order.made", WRITTEN), Err(BadToken::OtherQuery));
        // servers wrote no store time, but any is passed over
        let with_time = "AbyUVyLdf4Jbq6urq6urq6urq6urq6urq8C61eQMoAX2hdG78mMD57uEA2RldvgcAEc";
        assert_eq!(OldToken::decode("/api/message", "order.paid", with_time), Ok(written()));
    }

    #[test]
    fn hashes_agree_with_published_values() {
        assert_eq!(checksum(b"foobar"), 0xbf9c_f968_u32.to_be_bytes());
        assert_eq!(scope("", ""), 0xaf64_724c_8602_eb6e);
        assert_ne!(scope("a", "bc"), scope("ab", "c"));
    }

    #[test]
    fn refuses_other_texts() {
        let mut begin = vec![VERSION];
        begin.extend(scope("message", "order.paid").to_be_bytes());
        begin.extend([0; 16]);
        let with = |rest: &[u8]| sealed(&[&begin, rest].concat());
        let cases = [
            ("", BadToken::Foreign),
            ("zzz", BadToken::Foreign),
            ("@NEXT", BadToken::Foreign),
            ("00000183782957989999ff97aaaaaaaaaaaaaaaaaaaaaaaaaaaa", BadToken::Foreign),
            (&WRITTEN[..WRITTEN.len() - 4], BadToken::Damaged),
            (&format!("{WRITTEN}="), BadToken::Foreign),
            (&format!(" {WRITTEN}"), BadToken::Foreign),
            (&sealed(&[]), BadToken::Foreign),
            (&with(&[]), BadToken::Damaged),
            // a length beyond the end, an overlong number, and a byte too many
            (&with(&[0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]), BadToken::Damaged),
            (&with(&[0xFF; 11]), BadToken::Damaged),
            (&with(&[0, 0, 0, 0, 0, 7]), BadToken::Damaged),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Err(expected), "{text}");
        }
        assert!(read(&with(&[0; 5])).is_ok());
    }

    #[test]
    fn numbers_of_either_sign() {
        let numbers: [(&[u8], i64); 4] = [
            (&[1], -1),
            (&[0xFE, 0x01], 127),
            (&[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], i64::MAX),
            (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], i64::MIN),
        ];
        for (mut bytes, number) in numbers {
            assert_eq!(take_number(&mut bytes), Some(number));
            assert!(bytes.is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>(), body in any::<Vec<u8>>()) {
            let _ = (read(&text), read(&sealed(&body)));
            let _ = read(&sealed(&[&[VERSION][..], &[7; 24], &body].concat()));
        }

        #[test]
        fn one_changed_character_is_noticed(at in any::<proptest::sample::Index>(), with in "[A-Za-z0-9_-]") {
            let at = at.index(WRITTEN.len());
            let changed = format!("{}{with}{}", &WRITTEN[..at], &WRITTEN[at + 1..]);
            prop_assert_eq!(read(&changed).is_ok(), changed == WRITTEN);
        }
    }
}
