//! Tests of properties: the parsing rules one by one, and properties over made and arbitrary text.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Text with `=` for U+0001 and `;` for U+0002.
fn text(readable: &str) -> Vec<u8> {
    readable.replace('=', "\u{1}").replace(';', "\u{2}").into_bytes()
}

fn pairs(readable: &str) -> Vec<(String, String)> {
    let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Properties::new(&text(readable)).pairs().map(|(name, value)| (owned(name), owned(value))).collect()
}

#[test]
fn the_last_separator_may_be_missing() {
    let expected = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())];
    assert_eq!(pairs("A=1;B=2;"), expected);
    assert_eq!(pairs("A=1;B=2"), expected);
    assert_eq!(pairs(";;A=1;;B=2;;"), expected);
    assert_eq!(pairs(""), []);
}

#[test]
fn pieces_that_are_no_pair_are_dropped() {
    for dropped in ["A;", "=B;", "K=;", "=;", "=", "AB", "K="] {
        assert_eq!(pairs(dropped), [], "{dropped}");
    }
    let all = text("A;=B;K=;K=V;");
    let properties = Properties::new(&all);
    let mut pairs = properties.pairs();
    assert_eq!(pairs.by_ref().collect::<Vec<_>>(), [(b"K".as_slice(), b"V".as_slice())]);
    assert_eq!(pairs.dropped(), 3);
}

#[test]
fn a_value_may_contain_the_name_separator() {
    assert_eq!(pairs("A=1=2"), [("A".to_owned(), "1\u{1}2".to_owned())]);
}

#[test]
fn the_last_of_a_repeated_name_wins_and_the_first_is_the_own_id() {
    let bytes = text("KEYS=k1;UNIQ_KEY=own;WAIT=true;UNIQ_KEY=batch;WAIT=true;");
    let properties = Properties::new(&bytes);
    assert_eq!(properties.get(names::UNIQUE_KEY).unwrap(), "batch");
    assert_eq!(properties.first(names::UNIQUE_KEY).unwrap(), "own");
    assert_eq!(properties.to_map().get(b"UNIQ_KEY".as_slice()), Some(&b"batch".as_slice()));
    assert_eq!(properties.to_map().len(), 3);
    assert_eq!((properties.get("uniq_key"), properties.first("NO")), (None, None));
    // an empty value does not hide the one before it
    assert_eq!(Properties::new(&text("A=1;A=;")).get("A").unwrap(), "1");
}

#[test]
fn keys_are_split_at_spaces_once_each_in_order() {
    let bytes = text("KEYS=  b a  b\tc \u{952e} a;");
    assert_eq!(Properties::new(&bytes).keys(), ["b", "a", "b\tc", "\u{952e}"]);
    assert!(Properties::new(b"").keys().is_empty());
    assert!(Properties::new(&text("KEYS=   ;")).keys().is_empty());
}

#[test]
fn numbers_that_are_none_are_absent() {
    let bytes = text("DELAY=3;INNER_NUM=x;INNER_BASE=-7;REAL_QID=9223372036854775808;");
    let properties = Properties::new(&bytes);
    assert_eq!(properties.number(names::DELAY), Some(3));
    assert_eq!(properties.number(names::INNER_BASE), Some(-7));
    assert_eq!(properties.number(names::INNER_NUM), None);
    assert_eq!(properties.number(names::REAL_QUEUE_ID), None);
}

#[test]
fn bytes_that_are_not_utf8_are_kept_and_shown_replaced() {
    let properties = Properties::new(b"A\x01\xe5\x02B\x01\xff\x02");
    assert_eq!(properties.get_bytes("A"), Some(b"\xe5".as_slice()));
    assert_eq!(properties.get("B").unwrap(), "\u{fffd}");
}

#[test]
fn system_names() {
    for name in [
        "KEYS",
        "UNIQ_KEY",
        "__CRC32#",
        "TIMER_ROLL_TIMES",
        "__RMQ.TRANSIENT.x",
        "TTL",
        "POP_CK",
        "__BORNHOST",
        "TRAN_PREPARED_QUEUE_OFFSET",
    ] {
        assert!(is_system(name), "{name}");
    }
    for name in ["keys", "city", "", "__RMQ", "KEYS "] {
        assert!(!is_system(name), "{name}");
    }
}

proptest! {
    #[test]
    fn round_trip(made in proptest::collection::vec(("[^\u{1}\u{2}]{1,9}", "[^\u{1}\u{2}]{1,9}"), 0..9)) {
        let mut bytes = Vec::new();
        encode(&mut bytes, made.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let properties = Properties::new(&bytes);
        let found: Vec<_> = properties.pairs().collect();
        let expected: Vec<_> = made.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        prop_assert_eq!(found, expected);
        for (name, _) in &made {
            let last = made.iter().rev().find(|pair| pair.0 == *name).map(|pair| pair.1.as_str());
            let found = properties.get(name);
            prop_assert_eq!(found.as_deref(), last);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(0..5_u8, 0..60)) {
        let properties = Properties::new(&bytes);
        let mut pairs = properties.pairs();
        let found = pairs.by_ref().count();
        let pieces = bytes.split(|byte| *byte == PAIR_END).count();
        prop_assert!(found + pairs.dropped() <= pieces);
        prop_assert!(properties.to_map().len() <= found);
    }
}
