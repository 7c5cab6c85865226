//! Tests of the index files: the worked example, damage, layouts found from data, and a model of the writer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const ALWAYS: Window = Window { begin_ms: 0, end_ms: i64::MAX };
const SMALL: Layout = Layout { slots: 10, items: 20 };
const BEGIN_MS: i64 = 1_647_435_997_815;
const FIRST: i64 = 0x4000_0182;
const SECOND: i64 = 0x4000_0241;

/// Writes files as a broker does.
struct Writer {
    layout: Layout,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(layout: Layout) -> Self {
        let mut bytes = vec![0; usize::try_from(layout.file_bytes()).unwrap()];
        bytes[36..40].copy_from_slice(&1_i32.to_be_bytes());
        Self { layout, bytes }
    }

    fn put(&mut self, key_hash: u32, offset: i64, time_ms: i64) {
        let header = self.file().header();
        let number = header.index_count;
        let mut used = header.used_slots;
        if number == 1 {
            self.write(0, &time_ms.to_be_bytes());
            self.write(16, &offset.to_be_bytes());
        }
        let seconds = if number == 1 { 0 } else { (time_ms - header.begin_time_ms) / 1000 };
        let slot = HEADER_BYTES + SLOT_BYTES * (key_hash % self.layout.slots) as usize;
        let previous = i32_at(&self.bytes, slot);
        used += i32::from(previous == 0);
        let item = [
            &key_hash.to_be_bytes()[..],
            &offset.to_be_bytes(),
            &i32::try_from(seconds).unwrap().to_be_bytes(),
            &previous.to_be_bytes(),
        ];
        self.write(self.file().item_at(number.cast_unsigned()), &item.concat());
        self.write(slot, &number.to_be_bytes());
        self.write(8, &time_ms.to_be_bytes());
        self.write(24, &offset.to_be_bytes());
        self.write(32, &used.to_be_bytes());
        self.write(36, &(number + 1).to_be_bytes());
    }

    fn write(&mut self, at: usize, field: &[u8]) {
        self.bytes[at..at + field.len()].copy_from_slice(field);
    }

    fn file(&self) -> IndexFile<'_> {
        IndexFile::new(&self.bytes, self.layout).unwrap()
    }
}

fn worked_example() -> Writer {
    let mut writer = Writer::new(SMALL);
    for key in ["C0A80D01524018B4AAC251C706720007", "order-1001", "user-7"] {
        writer.put(key_hash("OrderTopic", key), FIRST, BEGIN_MS);
    }
    writer.put(key_hash("OrderTopic", "user-7"), SECOND, BEGIN_MS + 61_500);
    writer
}

fn lookup(file: IndexFile<'_>, key: &str, window: Window, limit: usize) -> Vec<i64> {
    let mut found = Vec::new();
    file.lookup(key_hash("OrderTopic", key), window, limit, &mut found);
    found
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn worked_example_byte_for_byte() {
    let mut expected = vec![0; 480];
    for (at, bytes) in [
        (0, "0000017f92d66277 0000017f92d752b3 0000000040000182 0000000040000241 00000002 00000005"),
        (44, "00000004"),
        (72, "00000001"),
        (100, "6926cf94 0000000040000182 00000000 00000000"),
        (120, "0906655f 0000000040000182 00000000 00000000"),
        (140, "40b05529 0000000040000182 00000000 00000002"),
        (160, "40b05529 0000000040000241 0000003d 00000003"),
    ] {
        let bytes = hex(bytes);
        expected[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    assert_eq!(worked_example().bytes, expected);
}

#[test]
fn worked_example_is_read() {
    let writer = worked_example();
    let header = Header {
        begin_time_ms: BEGIN_MS,
        end_time_ms: BEGIN_MS + 61_500,
        begin_offset: FIRST,
        end_offset: SECOND,
        used_slots: 2,
        index_count: 5,
    };
    assert_eq!(writer.file().header(), header);
    let items: Vec<IndexItem> = writer.file().items().collect();
    assert_eq!(items.iter().map(|item| item.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let last = IndexItem {
        key_hash: 0x40B0_5529,
        physical_offset: SECOND,
        store_time_ms: BEGIN_MS + 61_000,
        number: 4,
    };
    assert_eq!((items[0].key_hash, items[1].key_hash, items[3]), (0x6926_CF94, 0x0906_655F, last));
}

#[test]
fn worked_example_is_found() {
    let writer = worked_example();
    let file = writer.file();
    assert_eq!(lookup(file, "user-7", ALWAYS, QUERY_LIMIT), [SECOND, FIRST]);
    assert_eq!(lookup(file, "user-7", ALWAYS, 1), [SECOND]);
    assert_eq!(lookup(file, "user-7", ALWAYS, 0), Vec::<i64>::new());
    assert_eq!(lookup(file, "order-1001", ALWAYS, QUERY_LIMIT), [FIRST]);
    assert_eq!(lookup(file, "user-8", ALWAYS, QUERY_LIMIT), Vec::<i64>::new());
    let late = Window { begin_ms: BEGIN_MS + 61_000, end_ms: i64::MAX };
    assert_eq!(lookup(file, "user-7", late, QUERY_LIMIT), [SECOND]);
    let early = Window { begin_ms: BEGIN_MS, end_ms: BEGIN_MS + 60_999 };
    assert_eq!(lookup(file, "user-7", early, QUERY_LIMIT), [FIRST]);
}

#[test]
fn hashes() {
    assert_eq!(key_hash("OrderTopic", "order-1001"), 151_414_111);
    assert_eq!(key_hash("OrderTopic", "user-7"), 1_085_297_961);
    let slots = Layout::default().slots;
    assert_eq!(key_hash("OrderTopic", "C0A80D01524018B4AAC251C706720007") % slots, 4_151_188);
    // The one hash without an absolute value.
    assert_eq!((java_hash("wYz#aAbw"), key_hash("wYz", "aAbw")), (i32::MIN, 0));
}

#[test]
fn chains_that_do_not_lead_back_end() {
    let item_4_previous = 160 + 16;
    for (previous, expected) in
        [(4, vec![SECOND]), (5, vec![SECOND]), (6, vec![SECOND]), (-1, vec![SECOND]), (0, vec![SECOND])]
    {
        let mut writer = worked_example();
        writer.write(item_4_previous, &i32::to_be_bytes(previous));
        assert_eq!(lookup(writer.file(), "user-7", ALWAYS, QUERY_LIMIT), expected, "{previous}");
    }
    let mut writer = worked_example();
    writer.write(140 + 16, &4_i32.to_be_bytes());
    assert_eq!(lookup(writer.file(), "user-7", ALWAYS, QUERY_LIMIT), [SECOND, FIRST]);
}

#[test]
fn slots_and_differences_that_cannot_be() {
    for slot in [6, -1, 0, i32::MAX] {
        let mut writer = worked_example();
        writer.write(44, &i32::to_be_bytes(slot));
        assert_eq!(lookup(writer.file(), "user-7", ALWAYS, QUERY_LIMIT), Vec::<i64>::new(), "{slot}");
    }
    let mut writer = worked_example();
    writer.write(160 + 12, &(-1_i32).to_be_bytes());
    assert_eq!(lookup(writer.file(), "user-7", ALWAYS, QUERY_LIMIT), Vec::<i64>::new());
    let mut writer = worked_example();
    writer.write(36, &1_i32.to_be_bytes());
    assert_eq!(lookup(writer.file(), "user-7", ALWAYS, QUERY_LIMIT), Vec::<i64>::new());
}

#[test]
fn a_header_behind_the_items_hides_none_of_them() {
    let mut writer = worked_example();
    writer.write(36, &0_i32.to_be_bytes());
    assert_eq!((writer.file().header().index_count, writer.file().items().count()), (1, 4));
}

#[test]
fn a_full_file_is_read_to_its_last_item() {
    let mut writer = Writer::new(SMALL);
    for n in 1..20 {
        writer.put(n, i64::from(n), BEGIN_MS);
    }
    assert_eq!(writer.file().items().count(), 19);
    assert_eq!(Layout::detect(&writer.bytes), Layout::filling(480, 10));
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let bytes = vec![0; 480];
    assert!(IndexFile::new(&bytes, SMALL).is_ok());
    let error = IndexFile::new(&bytes, Layout { slots: 10, items: 21 }).unwrap_err();
    assert_eq!(error.to_string(), "index file of 480 bytes, but 10 slots and 21 items need 500");
    assert!(IndexFile::new(&[0; 40], Layout { slots: 0, items: 0 }).is_err());
    assert_eq!(Layout::default().file_bytes(), 420_000_040);
    for size in [0, 39, 40, 41, 44, 60, 480, 481] {
        assert_eq!(IndexFile::detect(&vec![0; size]).err(), Some(IndexError::UnknownLayout(size)), "{size}");
    }
}

#[test]
fn layouts_are_found_from_data() {
    assert_eq!(Layout::detect(&worked_example().bytes), Some(SMALL));
    let empty = Writer::new(Layout { slots: 10, items: 40 });
    assert_eq!(Layout::detect(&empty.bytes), Some(empty.layout));
    // A log that begins at 0: items that were never written then look like a first item.
    let mut writer = Writer::new(Layout { slots: 33, items: 50 });
    writer.put(70, 0, BEGIN_MS);
    writer.put(71, 500, BEGIN_MS);
    assert_eq!(Layout::detect(&writer.bytes), Some(writer.layout));
}

#[test]
fn files_are_searched_from_the_newest_on() {
    let mut files = Vec::new();
    for file in 0..4_i64 {
        let mut writer = Writer::new(SMALL);
        for n in 0..3 {
            writer.put(7, file * 100 + n, BEGIN_MS + file * 10_000 + n * 1000);
        }
        files.push(writer);
    }
    let search = |window: Window, limit| lookup_files(files.iter().rev().map(Writer::file), 7, window, limit);
    assert_eq!(search(ALWAYS, QUERY_LIMIT), [0, 1, 2, 100, 101, 102, 200, 201, 202, 300, 301, 302]);
    assert_eq!(search(ALWAYS, 4), [202, 300, 301, 302]);
    let window = Window { begin_ms: BEGIN_MS + 11_000, end_ms: BEGIN_MS + 20_500 };
    assert_eq!(search(window, QUERY_LIMIT), [101, 102, 200]);
    let nothing = Window { begin_ms: BEGIN_MS + 5000, end_ms: BEGIN_MS + 9000 };
    assert_eq!(search(nothing, QUERY_LIMIT), Vec::<i64>::new());
    let twice = [files[0].file(), files[0].file()];
    assert_eq!(lookup_files(twice, 7, ALWAYS, QUERY_LIMIT), [0, 1, 2]);
}

proptest! {
    #[test]
    fn what_is_put_is_found(
        slots in 1..40_u32, spare in 1..30_u32, begin in 0..i64::from(u32::MAX),
        keys in proptest::collection::vec((0..50_u32, 0..3000_i64), 1..80),
    ) {
        let mut writer = Writer::new(Layout { slots, items: u32::try_from(keys.len()).unwrap() + spare });
        let (mut offset, mut time_ms) = (begin, BEGIN_MS);
        let mut model: HashMap<u32, Vec<i64>> = HashMap::new();
        for (key, pause) in &keys {
            writer.put(*key, offset, time_ms);
            model.entry(*key).or_default().insert(0, offset);
            offset += 91 + pause;
            time_ms += pause;
        }
        let file = writer.file();
        for key in 0..50 {
            let mut found = Vec::new();
            file.lookup(key, ALWAYS, usize::MAX, &mut found);
            prop_assert_eq!(found, model.remove(&key).unwrap_or_default());
        }
        let read: Vec<u32> = file.items().map(|item| item.key_hash).collect();
        prop_assert_eq!(read, keys.iter().map(|(key, _)| *key).collect::<Vec<_>>());
        prop_assert!(Layout::detect(&writer.bytes).is_some());
    }

    #[test]
    fn noise_never_panics_and_walks_end(mut noise in proptest::collection::vec(any::<u8>(), 480), small: bool) {
        if small {
            // Numbers in range make longer walks.
            for (at, byte) in noise.iter_mut().enumerate() {
                *byte = if at % 4 == 3 { *byte % 21 } else { 0 };
            }
        }
        let file = IndexFile::new(&noise, SMALL).unwrap();
        prop_assert!(file.items().count() < 20);
        for key_hash in [0, 7, u32::MAX] {
            let mut found = Vec::new();
            file.lookup(key_hash, Window { begin_ms: i64::MIN, end_ms: i64::MAX }, usize::MAX, &mut found);
            prop_assert!(found.len() < 20);
        }
        let _ = Layout::detect(&noise);
    }
}
