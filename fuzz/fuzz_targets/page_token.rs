//! Reads arbitrary text as a page token, and makes one of arbitrary bytes: a token that is read is the one that was
//! written, and one with a changed character is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::http::qmq::request::{PageKey, scope};

/// A key of whatever the bytes hold.
fn key(data: &[u8]) -> Option<PageKey> {
    let (numbers, rest) = data.split_first_chunk::<24>()?;
    let (md5, rest) = rest.split_first_chunk()?;
    let number = |at: usize| i64::from_be_bytes(numbers[at..at + 8].try_into().expect("eight bytes"));
    let text = String::from_utf8_lossy(rest);
    let (consumer_group, broker_group) = text.split_once('#').unwrap_or((&text, ""));
    Some(PageKey {
        scope: scope(consumer_group, broker_group),
        second: number(0),
        md5: *md5,
        consumer_group: consumer_group.to_owned(),
        broker_group: broker_group.to_owned(),
        sequence: number(8),
        store_time_ms: number(16),
    })
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(read) = PageKey::decode(text)
    {
        assert_eq!(PageKey::decode(&read.encode()), Ok(read));
    }
    let Some(key) = key(data) else { return };
    let written = key.encode();
    assert_eq!(PageKey::decode(&written), Ok(key));

    let at = usize::from(data[0]) % written.len();
    let mut changed = written.into_bytes();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("a token is ASCII");
    assert!(PageKey::decode(&changed).is_err(), "{changed}");
});
