//! Tests of inner batches: the worked example, each way to end, and properties.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::brokers::rocketmq::format::record::tests::hex;

const EXAMPLE: &str = "00000020 00000000 00000000 00000000 00000002 4131   0008 4b455953016b3102
                       00000021 00000000 00000000 00000000 00000003 423232 0008 4b455953016b3202";

#[test]
fn worked_example() {
    let bytes = hex(EXAMPLE);
    assert_eq!(bytes.len(), 65);
    let found: Vec<_> = items(&bytes).collect();
    assert_eq!(found.iter().map(|item| item.body).collect::<Vec<_>>(), [b"A1".as_slice(), b"B22"]);
    assert_eq!(
        found.iter().map(|item| item.properties.get("KEYS").unwrap()).collect::<Vec<_>>(),
        ["k1", "k2"]
    );
    let mut encoded = Vec::new();
    for item in found {
        encode(&mut encoded, item.flag, item.body, item.properties.as_bytes());
    }
    assert_eq!(encoded, bytes);
}

#[test]
fn ends_at_the_first_bad_item() {
    let good = hex(EXAMPLE);
    for (at, value) in [
        (32, [0xff_u8, 0xff, 0xff, 0xff]), // negative size
        (32, [0, 0, 0, 21]),               // too small
        (32, [0, 0, 0, 0x22]),             // beyond the body
        (48, [0xff, 0xff, 0xff, 0xff]),    // negative body
        (48, [0x7f, 0xff, 0xff, 0xff]),    // body beyond the item
        (48, [0, 0, 0, 2]),                // lengths and size disagree
    ] {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value);
        let mut items = items(&bytes);
        assert_eq!(items.by_ref().count(), 1);
        assert_eq!(items.rest().len(), 33);
    }
    assert_eq!(items(&[]).count(), 0);
}

#[test]
fn the_number_of_items_is_limited() {
    let mut bytes = Vec::new();
    for _ in 0..=MAX_ITEMS {
        encode(&mut bytes, 0, b"", b"");
    }
    let mut items = items(&bytes);
    assert_eq!(items.by_ref().count(), MAX_ITEMS);
    assert_eq!(items.rest().len(), FIXED_BYTES);
}

proptest! {
    #[test]
    fn round_trip(
        made in proptest::collection::vec(
            (any::<i32>(), proptest::collection::vec(any::<u8>(), 0..50), proptest::collection::vec(any::<u8>(), 0..50)),
            0..8,
        )
    ) {
        let mut bytes = Vec::new();
        for (flag, body, properties) in &made {
            encode(&mut bytes, *flag, body, properties);
        }
        let found: Vec<_> =
            items(&bytes).map(|item| (item.flag, item.body.to_vec(), item.properties.as_bytes().to_vec())).collect();
        prop_assert_eq!(found, made);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        items(&bytes).count();
    }
}
