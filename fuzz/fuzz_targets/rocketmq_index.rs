//! Takes arbitrary bytes for an index file, items of consume queues, and a checkpoint.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mqlake_fuzz::brokers::rocketmq::format::checkpoint::{CHECKPOINT_BYTES, Checkpoint};
use mqlake_fuzz::brokers::rocketmq::format::consume_queue::{
    BATCH_ITEM_BYTES, Entry, ITEM_BYTES, decode, decode_batch, extended_position, locate, queue_offset,
    tags_code,
};
use mqlake_fuzz::brokers::rocketmq::format::index_file::{
    HEADER_BYTES, IndexFile, Layout, QUERY_LIMIT, SLOT_BYTES, Window, key_hash, lookup_files,
};

const ALWAYS: Window = Window { begin_ms: i64::MIN, end_ms: i64::MAX };

fn check_index(file: IndexFile<'_>, bytes: &[u8]) {
    let layout = file.layout();
    assert_eq!(layout.file_bytes(), bytes.len() as u64);
    let header = file.header();
    assert!(header.index_count >= 1);
    let half = header.begin_time_ms / 2 + header.end_time_ms / 2;
    let windows = [ALWAYS, Window { begin_ms: header.begin_time_ms, end_ms: half }];
    for (item, number) in file.items().zip(1..) {
        assert!(item.number == number && item.number < layout.items);
        for window in windows {
            let mut found = Vec::new();
            file.lookup(item.key_hash, window, QUERY_LIMIT, &mut found);
            assert!(found.len() <= QUERY_LIMIT);
            let newest = lookup_files([file, file], item.key_hash, window, QUERY_LIMIT);
            assert!(newest.len() <= QUERY_LIMIT && newest.is_sorted_by(|a, b| a < b));
        }
    }
}

fn check_queue(bytes: &[u8]) {
    for item in bytes.as_chunks::<ITEM_BYTES>().0 {
        if let Entry::Item(item) = decode(item) {
            assert!(item.physical_offset >= 0 && item.size > 0);
            assert!(extended_position(item.tags_code).is_none_or(|position| position >= 0));
        }
    }
    for item in bytes.as_chunks::<BATCH_ITEM_BYTES>().0 {
        if let Entry::Item(item) = decode_batch(item) {
            assert!(item.physical_offset >= 0 && item.size > 0);
            assert!(item.first_queue_offset >= 0 && item.messages > 0);
        }
    }
    if let Some((offset, rest)) = bytes.split_first_chunk()
        && let Some((file_bytes, _)) = rest.split_first_chunk()
    {
        let offset = i64::from_be_bytes(*offset);
        let file_bytes = u64::from(u32::from_be_bytes(*file_bytes));
        if let Some((base, position)) = locate(offset, file_bytes) {
            assert!(position < file_bytes && base % file_bytes == 0);
            assert_eq!(queue_offset(base, position), Some(offset));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(file) = IndexFile::detect(data) {
        assert_eq!(Layout::detect(data), Some(file.layout()));
        check_index(file, data);
    }
    // any number of slots that leaves whole items
    if let Some(slots) = data.get(HEADER_BYTES - 1).map(|byte| u32::from(*byte)) {
        let rest = data.len().saturating_sub(HEADER_BYTES + SLOT_BYTES * slots as usize);
        let layout = Layout { slots, items: (rest / 20) as u32 };
        let bytes = data.get(..layout.file_bytes() as usize).unwrap_or(data);
        if let Ok(file) = IndexFile::new(bytes, layout) {
            check_index(file, bytes);
        }
    }
    check_queue(data);
    assert_eq!(Checkpoint::decode(data).is_ok(), data.len() >= CHECKPOINT_BYTES);
    if let Ok(text) = std::str::from_utf8(data) {
        let (topic, key) = text.split_once('#').unwrap_or((text, ""));
        assert!(key_hash(topic, key) <= i32::MAX as u32);
        let _ = tags_code(text);
    }
});
