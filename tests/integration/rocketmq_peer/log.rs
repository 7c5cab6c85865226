//! The commit log of a broker and the index of its keys.
//!
//! Records stay in memory when retention removes them; they are only no longer found. How much of the log is visible
//! is decided here, too: the first so many records in order.

use super::record::{Record, java_hash};
use std::collections::HashMap;

/// A record that does not leave this many bytes free goes into the next file.
const MARKER_BYTES: i64 = 8;

/// What a broker knows of a stored record without reading it.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) raw: Vec<u8>,
    pub(super) physical: i64,
    pub(super) store_time: i64,
    pub(super) tag_code: i32,
}

/// An item of the key index.
#[derive(Clone, Copy)]
struct Item {
    record: usize,
    /// Store time in whole seconds after the first one of the index file, as milliseconds since the Unix epoch.
    time: i64,
}

#[derive(Clone)]
pub(super) struct Log {
    records: Vec<Stored>,
    /// Number of visible records.
    pub(super) visible: usize,
    /// Physical offset below which retention removed everything.
    pub(super) start: i64,
    /// Physical offset of the next record.
    end: i64,
    pub(super) file_bytes: i64,
    index: HashMap<i32, Vec<Item>>,
    /// First physical offset and first store time of each index file.
    pub(super) index_files: Vec<(i64, i64)>,
}

impl Log {
    pub(super) fn new(file_bytes: i64) -> Self {
        Self {
            records: Vec::new(),
            visible: 0,
            start: 0,
            end: 0,
            file_bytes,
            index: HashMap::new(),
            index_files: Vec::new(),
        }
    }

    /// Number of records, visible or not.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&self, record: usize) -> &Stored {
        &self.records[record]
    }

    /// Where a record of this size would go.
    pub(super) fn place(&self, bytes: usize) -> i64 {
        let used = self.end % self.file_bytes;
        let fits = used + bytes as i64 + MARKER_BYTES <= self.file_bytes;
        if fits { self.end } else { self.end - used + self.file_bytes }
    }

    /// Store time of the newest record.
    pub(super) fn last_time(&self) -> i64 {
        self.records.last().map_or(0, |record| record.store_time)
    }

    /// Adds a record where it says it is, visible at once if everything was. Its number.
    pub(super) fn push(&mut self, record: &Record) -> usize {
        let number = self.records.len();
        assert!(record.physical >= self.end, "physical offset {} is taken", record.physical);
        if number == 0 {
            self.start = record.physical - record.physical % self.file_bytes;
        }
        if self.visible == number {
            self.visible += 1;
        }
        self.end = record.physical + record.raw.len() as i64;
        self.records.push(Stored {
            raw: record.raw.clone(),
            physical: record.physical,
            store_time: record.store_time,
            tag_code: record.tag_code(),
        });
        if record.is_indexed() {
            let first = self.index_time(record.physical);
            let time = first + (record.store_time - first).max(0) / 1000 * 1000;
            for key in record.index_keys() {
                let hash = java_hash(&format!("{}#{key}", record.topic));
                self.index.entry(hash).or_default().push(Item { record: number, time });
            }
        }
        number
    }

    fn index_time(&self, physical: i64) -> i64 {
        let file = self.index_files.partition_point(|(first, _)| *first <= physical);
        let file = file.checked_sub(1).map(|file| self.index_files[file].1);
        file.unwrap_or_else(|| self.records[0].store_time)
    }

    /// Leaves the first so many records; the next one takes the place of the first that is gone.
    pub(super) fn truncate(&mut self, records: usize) {
        self.records.truncate(records);
        self.visible = self.visible.min(records);
        self.end = self.records.last().map_or(self.start, |last| last.physical + last.raw.len() as i64);
        self.index.values_mut().for_each(|items| items.retain(|item| item.record < records));
    }

    /// Whether retention left it and it is visible.
    pub(super) fn is_live(&self, record: usize) -> bool {
        record < self.visible && self.records[record].physical >= self.start
    }

    /// First visible record that retention left.
    pub(super) fn first_live(&self) -> Option<&Stored> {
        let first = self.records.partition_point(|record| record.physical < self.start);
        self.records[..self.visible].get(first)
    }

    /// Physical offset behind the last visible record.
    pub(super) fn visible_end(&self) -> i64 {
        let last = self.visible.checked_sub(1).map(|last| &self.records[last]);
        last.map_or(self.start, |last| last.physical + last.raw.len() as i64)
    }

    /// The newest visible records of a key between two times, at most so many, in the order of the log. As with a
    /// real index, keys with the same hash are taken for one another.
    pub(super) fn find(&self, topic: &str, key: &str, begin: i64, end: i64, most: usize) -> Vec<usize> {
        let items = self.index.get(&java_hash(&format!("{topic}#{key}"))).map_or(&[][..], Vec::as_slice);
        let fits = |item: &&Item| begin <= item.time && item.time <= end && item.record < self.visible;
        let mut found: Vec<_> = items.iter().rev().filter(fits).map(|item| item.record).take(most).collect();
        found.sort_unstable();
        found.dedup();
        // Of items whose record is gone only the place in the answer is left.
        found.retain(|record| self.is_live(*record));
        found
    }

    /// Newest indexed record so far: store time and physical offset.
    pub(super) fn index_end(&self) -> (i64, i64) {
        let last = self.visible.checked_sub(1).map(|last| &self.records[last]);
        last.map_or((0, 0), |last| (last.store_time, last.physical))
    }

    /// The bytes at a physical offset that a size field there gives; nobody checks that a record starts there.
    pub(super) fn read(&self, physical: i64) -> Option<Vec<u8>> {
        if physical < self.start {
            return None;
        }
        let number = self.records.partition_point(|record| record.physical <= physical).checked_sub(1)?;
        let record = self.records[..self.visible].get(number)?;
        let rest = record.raw.get(usize::try_from(physical - record.physical).ok()?..)?;
        let size = usize::try_from(i32::from_be_bytes(*rest.first_chunk()?)).ok()?;
        if size == 0 {
            return None;
        }
        let mut bytes = rest.to_vec();
        for next in &self.records[number + 1..self.visible] {
            if bytes.len() >= size {
                break;
            }
            bytes.extend_from_slice(&next.raw);
        }
        bytes.truncate(size);
        (bytes.len() == size).then_some(bytes)
    }

    /// Changes the bytes of the record at a physical offset, and nothing else.
    pub(super) fn edit(&mut self, physical: i64, change: impl FnOnce(&mut Vec<u8>)) {
        let number = self.records.binary_search_by_key(&physical, |record| record.physical);
        change(&mut self.records[number.expect("a record at the offset")].raw);
    }
}
