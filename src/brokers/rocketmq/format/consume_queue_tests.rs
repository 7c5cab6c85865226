//! Tests of the consume queue items: worked examples, each kind of entry, and properties.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let digits: String = text.split_whitespace().collect();
    let bytes: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

fn encode(item: Item) -> [u8; ITEM_BYTES] {
    let fields =
        [&item.physical_offset.to_be_bytes()[..], &item.size.to_be_bytes(), &item.tags_code.to_be_bytes()];
    fields.concat().try_into().unwrap()
}

fn encode_batch(item: BatchItem) -> [u8; BATCH_ITEM_BYTES] {
    let fields = [
        &item.physical_offset.to_be_bytes()[..],
        &item.size.to_be_bytes(),
        &item.tags_code.to_be_bytes(),
        &item.store_time_ms.to_be_bytes(),
        &item.first_queue_offset.to_be_bytes(),
        &item.messages.to_be_bytes(),
        &item.compacted_offset.to_be_bytes(),
        &[0; 4],
    ];
    fields.concat().try_into().unwrap()
}

#[test]
fn worked_example() {
    let bytes = hex("0000000040000182 000000bf 000000000027a807");
    let item = Item { physical_offset: 0x4000_0182, size: 191, tags_code: tags_code("TagA") };
    assert_eq!(decode(&bytes), Entry::Item(item));
    assert_eq!(encode(item), bytes);
    assert_eq!(locate(41, FILE_BYTES), Some((0, 820)));
    assert_eq!(queue_offset(0, 820), Some(41));
}

#[test]
fn fillers_unused_and_damaged_items() {
    assert_eq!(decode(&hex("0000000000000000 7fffffff 0000000000000000")), Entry::Filler);
    assert_eq!(decode(&[0; 20]), Entry::Unused);
    for damaged in [
        "0000000000000000 00000000 0000000000000001",
        "0000000000000001 00000000 0000000000000000",
        "0000000000000001 7fffffff 0000000000000000",
        "ffffffffffffffff 00000001 0000000000000000",
        "0000000000000000 ffffffff 0000000000000000",
    ] {
        assert_eq!(decode(&hex(damaged)), Entry::Damaged, "{damaged}");
    }
}

#[test]
fn batch_items() {
    let item = BatchItem {
        physical_offset: 0x4000_0182,
        size: 191,
        tags_code: -1,
        store_time_ms: 1_647_435_997_815,
        first_queue_offset: 10,
        messages: 2,
        compacted_offset: 0,
    };
    let bytes = hex(
        "0000000040000182 000000bf ffffffffffffffff 0000017f92d66277 000000000000000a 0002 00000000 00000000",
    );
    assert_eq!(decode_batch(&bytes), Entry::Item(item));
    assert_eq!(encode_batch(item), bytes);
    assert_eq!(decode_batch(&[0; 46]), Entry::Unused);
    assert_eq!(decode_batch(&encode_batch(BatchItem { messages: 0, ..item })), Entry::Unused);
    for damaged in [
        BatchItem { messages: -1, ..item },
        BatchItem { size: 0, ..item },
        BatchItem { physical_offset: -1, ..item },
        BatchItem { first_queue_offset: -1, ..item },
    ] {
        assert_eq!(decode_batch(&encode_batch(damaged)), Entry::Damaged);
    }
}

#[test]
fn tags_codes() {
    assert_eq!(tags_code("TAG_PAY") as u64, 0xFFFF_FFFF_CE8B_5A43);
    assert_eq!((extended_position(-2_147_483_648), extended_position(0)), (None, None));
    assert_eq!(extended_position(i64::MIN + 42), Some(42));
    assert_eq!(extended_position(-2_147_483_649), Some(i64::MAX - 2_147_483_648));
}

#[test]
fn places_that_cannot_be() {
    assert_eq!((locate(-1, FILE_BYTES), locate(i64::MAX, FILE_BYTES), locate(1, 0)), (None, None, None));
    assert_eq!((queue_offset(0, 21), queue_offset(u64::MAX, 20)), (None, None));
    assert_eq!(
        (locate(300_000, FILE_BYTES), queue_offset(6_000_000, 20)),
        (Some((6_000_000, 0)), Some(300_001))
    );
}

proptest! {
    #[test]
    fn items_round_trip(physical_offset in 0..=i64::MAX, size in 1..i32::MAX, tags_code: i64) {
        let item = Item { physical_offset, size, tags_code };
        prop_assert_eq!(decode(&encode(item)), Entry::Item(item));
    }

    #[test]
    fn places_round_trip(offset in 0..i64::MAX / 20, items in 1..1_000_000_u64) {
        let (file, position) = locate(offset, items * 20).unwrap();
        prop_assert!(file % (items * 20) == 0 && position < items * 20);
        prop_assert_eq!(queue_offset(file, position), Some(offset));
    }

    #[test]
    fn items_that_are_decoded_encode_to_the_same_bytes(bytes: [u8; 20], batch: [[u8; 23]; 2]) {
        if let Entry::Item(item) = decode(&bytes) {
            prop_assert_eq!(encode(item), bytes);
        }
        let batch: [u8; 46] = batch.concat().try_into().unwrap();
        if let Entry::Item(item) = decode_batch(&batch) {
            prop_assert_eq!(&encode_batch(item)[..42], &batch[..42]);
        }
    }
}
