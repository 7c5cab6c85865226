//! Reads arbitrary text as a page token of either layout, and makes one of arbitrary bytes: a token that is read is the
//! one that was written, and one with a changed character is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::http::page_token::{BadToken, decode, encode};
use mqlake_fuzz::http::qmq::request::OldToken;

/// A place of whatever the bytes hold, and the query it belongs to.
type Place = (i64, i64, String);

fn place(data: &[u8]) -> Option<(String, Place)> {
    let (numbers, rest) = data.split_first_chunk::<16>()?;
    let number = |at: usize| i64::from_be_bytes(numbers[at..at + 8].try_into().expect("eight bytes"));
    let text = String::from_utf8_lossy(rest);
    let (query, name) = text.split_once('#').unwrap_or((&text, ""));
    Some((query.to_owned(), (number(0), number(8), name.to_owned())))
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = OldToken::decode("message", "order.paid", text);
        if let Ok(read) = decode::<Place>("query", text) {
            assert_eq!(decode("query", &encode("query", &read)), Ok(read));
        }
    }
    let Some((query, place)) = place(data) else { return };
    let written = encode(&query, &place);
    assert_eq!(decode(&query, &written), Ok(place));
    assert_eq!(decode::<Place>(&format!("{query}!"), &written), Err(BadToken::OtherQuery));

    let at = usize::from(data[0]) % written.len();
    let mut changed = written.into_bytes();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("a token is ASCII");
    assert!(decode::<Place>(&query, &changed).is_err(), "{changed}");
});
