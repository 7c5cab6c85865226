//! RocketMQ index files: from the hash of a key to physical offsets (RocketMQ formats: IndexFile).
//!
//! An [`IndexFile`] reads the bytes of a whole file and copies nothing. It never opens files, never reads the records
//! that items point at, and never proves anything: hashes collide, and a record can be missing from the index.
//!
//! ```text
//! header 40 bytes | slots, 4 bytes each | items, 20 bytes each; item 0 is never used
//! ```
//!
//! A slot holds the number of the newest item of its chain; each item holds the number of the item before it.

use thiserror::Error;

use super::fixed::{i32_at, i64_at};
use super::java_hash::{extend, java_hash};

/// Size of the header in bytes.
pub const HEADER_BYTES: usize = 40;
/// Size of a slot in bytes.
pub const SLOT_BYTES: usize = 4;
/// Size of an item in bytes.
pub const ITEM_BYTES: usize = 20;
/// Most results a stock broker gives to one query.
pub const QUERY_LIMIT: usize = 64;

/// Why bytes are not an index file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IndexError {
    /// The size does not match the number of slots and items.
    #[error("index file of {found} bytes, but {slots} slots and {items} items need {expected}")]
    Size {
        /// Size of the file in bytes.
        found: usize,
        /// Size it should have.
        expected: u64,
        /// Number of slots.
        slots: u32,
        /// Number of items.
        items: u32,
    },
    /// No number of slots and items fits the data.
    #[error("index file of {0} bytes fits no number of slots and items")]
    UnknownLayout(usize),
}

/// How many slots and items a file has. These are settings of the broker, which it does not store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Number of slots.
    pub slots: u32,
    /// Number of items, the unused first one included.
    pub items: u32,
}

impl Default for Layout {
    /// What brokers have without settings of their own.
    fn default() -> Self {
        Self { slots: 5_000_000, items: 20_000_000 }
    }
}

impl Layout {
    /// Size of such a file in bytes.
    #[must_use]
    pub const fn file_bytes(self) -> u64 {
        HEADER_BYTES as u64 + SLOT_BYTES as u64 * self.slots as u64 + ITEM_BYTES as u64 * self.items as u64
    }

    /// The layout with so many slots that fills `file_bytes` exactly.
    fn filling(file_bytes: usize, slots: usize) -> Option<Self> {
        let items = file_bytes.checked_sub(HEADER_BYTES)?.checked_sub(slots.checked_mul(SLOT_BYTES)?)?;
        if slots == 0 || !items.is_multiple_of(ITEM_BYTES) {
            return None;
        }
        Some(Self { slots: u32::try_from(slots).ok()?, items: u32::try_from(items / ITEM_BYTES).ok()? })
    }

    /// Finds the layout of a file from its data.
    ///
    /// `None` if none fits. That can happen for the newest file of a broker that was killed, whose header is behind its
    /// items: take the layout of another file of the same size. A file without items is assumed to have four items for
    /// each slot, as by default, if its size allows that.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        let body = bytes.len().checked_sub(HEADER_BYTES)?;
        let usual = Self::filling(bytes.len(), body / (SLOT_BYTES + 4 * ITEM_BYTES));
        if let Some(layout) = usual
            && u64::from(layout.items) == 4 * u64::from(layout.slots)
        {
            let file = IndexFile { bytes, layout };
            if file.header().index_count <= 1
                || (file.ends_fit() && file.used_slots(0) == file.header().used_slots)
            {
                return usual;
            }
        }
        // Slots are counted on from guess to guess, so that all guesses together need one pass.
        let ints = body / SLOT_BYTES;
        let (mut counted, mut used) = (0, 0_i32);
        for slots in (ints % 5..=ints).step_by(5) {
            let Some(layout) = Self::filling(bytes.len(), slots) else { continue };
            let file = IndexFile { bytes, layout };
            used = used.saturating_add(file.used_slots(counted));
            counted = layout.slots;
            if used == file.header().used_slots && file.ends_fit() {
                return Some(layout);
            }
        }
        None
    }
}

/// What a file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Store time of the first item, in milliseconds since the Unix epoch.
    pub begin_time_ms: i64,
    /// Store time of the newest item.
    pub end_time_ms: i64,
    /// Physical offset of the record of the first item.
    pub begin_offset: i64,
    /// Physical offset of the record of the newest item.
    pub end_offset: i64,
    /// Number of slots that are not empty.
    pub used_slots: i32,
    /// Number of items and one more; at least 1. Behind the items after a crash.
    pub index_count: i32,
}

/// One key of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexItem {
    /// Hash of topic and key, see [`key_hash`].
    pub key_hash: u32,
    /// Physical offset of the record. The record can be gone.
    pub physical_offset: i64,
    /// When the broker stored the record, in milliseconds since the Unix epoch: a whole number of seconds after the
    /// first item of the file, rounded down. That of item 1 can be too late by the time between this file and the one
    /// before it.
    pub store_time_ms: i64,
    /// Number in the file, from 1 on.
    pub number: u32,
}

/// An item as stored.
#[derive(Debug, Clone, Copy)]
struct StoredItem {
    key_hash: i32,
    physical_offset: i64,
    seconds: i32,
    previous: i32,
}

/// Store times a query asks for, in milliseconds since the Unix epoch, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The earliest.
    pub begin_ms: i64,
    /// The latest.
    pub end_ms: i64,
}

/// The bytes of a whole index file.
#[derive(Debug, Clone, Copy)]
pub struct IndexFile<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> IndexFile<'a> {
    /// Takes the bytes of a file of known layout.
    ///
    /// # Errors
    /// [`IndexError::Size`] if there are more or fewer.
    pub fn new(bytes: &'a [u8], layout: Layout) -> Result<Self, IndexError> {
        let expected = layout.file_bytes();
        if bytes.len() as u64 != expected || layout.slots == 0 {
            let Layout { slots, items } = layout;
            return Err(IndexError::Size { found: bytes.len(), expected, slots, items });
        }
        Ok(Self { bytes, layout })
    }

    /// Takes the bytes of a file and finds its layout, see [`Layout::detect`].
    ///
    /// # Errors
    /// [`IndexError::UnknownLayout`] if none fits.
    pub fn detect(bytes: &'a [u8]) -> Result<Self, IndexError> {
        let layout = Layout::detect(bytes).ok_or(IndexError::UnknownLayout(bytes.len()))?;
        Ok(Self { bytes, layout })
    }

    /// Number of slots and items.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            begin_time_ms: i64_at(self.bytes, 0),
            end_time_ms: i64_at(self.bytes, 8),
            begin_offset: i64_at(self.bytes, 16),
            end_offset: i64_at(self.bytes, 24),
            used_slots: i32_at(self.bytes, 32),
            index_count: i32_at(self.bytes, 36).max(1),
        }
    }

    /// All items in the order they were written, up to the first that was not. The header's count plays no part.
    pub fn items(&self) -> impl Iterator<Item = IndexItem> + use<'a> {
        let file = *self;
        let begin_time_ms = file.header().begin_time_ms;
        (1..file.layout.items).map_while(move |number| {
            let item = file.item(number)?;
            item.is_written().then(|| IndexItem {
                key_hash: item.key_hash.cast_unsigned(),
                physical_offset: item.physical_offset,
                store_time_ms: item.store_time_ms(begin_time_ms),
                number,
            })
        })
    }

    /// Appends the physical offsets found for a key hash, newest first, until `found` has `limit` of them.
    ///
    /// As in a broker, an offset can be found twice, and the walk ends at the first item before the window.
    pub fn lookup(&self, key_hash: u32, window: Window, limit: usize, found: &mut Vec<i64>) {
        let header = self.header();
        if header.index_count <= 1 {
            return;
        }
        let is_in_use = |number: i32| number > 0 && number <= header.index_count;
        let mut number = self.slot(key_hash % self.layout.slots);
        while is_in_use(number) && found.len() < limit {
            let Some(item) = self.item(number.cast_unsigned()) else { return };
            if item.seconds < 0 {
                return;
            }
            let time_ms = item.store_time_ms(header.begin_time_ms);
            if item.key_hash.cast_unsigned() == key_hash
                && (window.begin_ms..=window.end_ms).contains(&time_ms)
            {
                found.push(item.physical_offset);
            }
            // Chains only lead back. In a damaged file they could form a loop.
            if time_ms < window.begin_ms || item.previous >= number {
                return;
            }
            number = item.previous;
        }
    }

    /// Whether the first and the newest item are where the layout says.
    fn ends_fit(&self) -> bool {
        let header = self.header();
        let newest = header.index_count - 1;
        let is_first_blank = self.item(0).is_some_and(|item| !item.is_written());
        let begins_right = self.item(1).is_some_and(|item| item.physical_offset == header.begin_offset);
        let Some(item) = self.item(newest.cast_unsigned()) else { return false };
        let slot = item.key_hash.cast_unsigned() % self.layout.slots;
        is_first_blank && begins_right && newest > 0 && self.slot(slot) == newest
    }

    /// Number of slots from `start` on that are not zero.
    fn used_slots(&self, start: u32) -> i32 {
        let from = HEADER_BYTES + SLOT_BYTES * start as usize;
        let to = HEADER_BYTES + SLOT_BYTES * self.layout.slots as usize;
        let (slots, _) = self.bytes.get(from..to).unwrap_or_default().as_chunks::<SLOT_BYTES>();
        i32::try_from(slots.iter().filter(|slot| **slot != [0; SLOT_BYTES]).count()).unwrap_or(i32::MAX)
    }

    fn slot(&self, slot: u32) -> i32 {
        i32_at(self.bytes, HEADER_BYTES + SLOT_BYTES * slot as usize)
    }

    fn item(&self, number: u32) -> Option<StoredItem> {
        let bytes: &[u8; ITEM_BYTES] = self.bytes.get(self.item_at(number)..)?.first_chunk()?;
        Some(StoredItem {
            key_hash: i32_at(bytes, 0),
            physical_offset: i64_at(bytes, 4),
            seconds: i32_at(bytes, 12),
            previous: i32_at(bytes, 16),
        })
    }

    /// Where an item starts. The layout has the size of bytes in memory, so only a number outside it can overflow.
    fn item_at(&self, number: u32) -> usize {
        let items_at = HEADER_BYTES + SLOT_BYTES * self.layout.slots as usize;
        items_at.saturating_add(ITEM_BYTES.saturating_mul(number as usize))
    }
}

impl StoredItem {
    /// Whether anything was written here.
    const fn is_written(self) -> bool {
        self.key_hash != 0 || self.physical_offset != 0 || self.seconds != 0 || self.previous != 0
    }

    const fn store_time_ms(self, begin_time_ms: i64) -> i64 {
        begin_time_ms.saturating_add(self.seconds as i64 * 1000)
    }
}

/// The hash under which a key of a topic is stored. The topic is that of the record itself, which is a retry topic for
/// redelivered messages. The key is a unique id or one of the application's keys.
#[must_use]
pub fn key_hash(topic: &str, key: &str) -> u32 {
    // The one number without an absolute value counts as 0.
    let hash = extend(extend(java_hash(topic), "#"), key);
    hash.checked_abs().unwrap_or(0).cast_unsigned()
}

/// The physical offsets a stock broker would read for a key, ascending and without repeats: the newest `limit` that
/// the files have, which are given newest first.
pub fn lookup_files<'a>(
    newest_first: impl IntoIterator<Item = IndexFile<'a>>,
    key_hash: u32,
    window: Window,
    limit: usize,
) -> Vec<i64> {
    let mut found = Vec::new();
    for file in newest_first {
        let header = file.header();
        if header.begin_time_ms <= window.end_ms && header.end_time_ms >= window.begin_ms {
            file.lookup(key_hash, window, limit, &mut found);
        }
        if header.begin_time_ms < window.begin_ms || found.len() >= limit {
            break;
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
#[path = "index_file_tests.rs"]
mod tests;
