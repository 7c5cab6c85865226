//! Items of RocketMQ consume queues (RocketMQ formats: ConsumeQueue, BatchConsumeQueue).
//!
//! A queue is an array of items of fixed size that point into the commit log. It is spread over files named by the byte
//! offset of their first item. This module decodes one item. It never opens files and never says whether the record an
//! item points at still exists.

use super::fixed::{i16_at, i32_at, i64_at};
use super::java_hash::java_hash;

/// Size of an item in bytes.
pub const ITEM_BYTES: usize = 20;
/// Default size of a file in bytes; a broker setting.
pub const FILE_BYTES: u64 = 6_000_000;
/// Size of an item of a batch queue in bytes.
pub const BATCH_ITEM_BYTES: usize = 46;
/// Default size of a file of a batch queue in bytes; a broker setting.
pub const BATCH_FILE_BYTES: u64 = 13_800_000;

const FILLER_SIZE: i32 = i32::MAX;
const MAX_SIZE: i32 = FILLER_SIZE - 1;

/// What is found at one position of a queue. `T` is [`Item`] or [`BatchItem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<T> {
    /// A record of the commit log.
    Item(T),
    /// Stands before the first real item of a queue that starts in the middle of a file.
    Filler,
    /// Nothing was written here: the end of the queue.
    Unused,
    /// A negative offset, or a size that is not positive.
    Damaged,
}

/// An item of a plain queue: one record. Its place in the queue is its queue offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Physical offset of the record; not negative.
    pub physical_offset: i64,
    /// Size of the record in bytes; positive.
    pub size: i32,
    /// [`tags_code`] of the record, its delivery time in milliseconds in `SCHEDULE_TOPIC_XXXX`, or a place in the
    /// extended queue, see [`extended_position`].
    pub tags_code: i64,
}

/// An item of a batch queue: one record that stands for several messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchItem {
    /// Physical offset of the record; not negative.
    pub physical_offset: i64,
    /// Size of the record in bytes; positive.
    pub size: i32,
    /// [`tags_code`] of the record.
    pub tags_code: i64,
    /// When the broker stored the record, in milliseconds since the Unix epoch.
    pub store_time_ms: i64,
    /// Queue offset of the first message; it increases from item to item.
    pub first_queue_offset: i64,
    /// Number of messages; positive.
    pub messages: i16,
    /// Offset in a compacted log, for compaction topics.
    pub compacted_offset: i32,
}

/// Decodes an item of a plain queue.
#[must_use]
pub fn decode(bytes: &[u8; ITEM_BYTES]) -> Entry<Item> {
    let (physical_offset, size, tags_code) = (i64_at(bytes, 0), i32_at(bytes, 8), i64_at(bytes, 12));
    match (physical_offset, size) {
        (0, 0) if tags_code == 0 => Entry::Unused,
        (0, FILLER_SIZE) => Entry::Filler,
        (0.., 1..=MAX_SIZE) => Entry::Item(Item { physical_offset, size, tags_code }),
        _ => Entry::Damaged,
    }
}

/// Decodes an item of a batch queue.
#[must_use]
pub fn decode_batch(bytes: &[u8; BATCH_ITEM_BYTES]) -> Entry<BatchItem> {
    let item = BatchItem {
        physical_offset: i64_at(bytes, 0),
        size: i32_at(bytes, 8),
        tags_code: i64_at(bytes, 12),
        store_time_ms: i64_at(bytes, 20),
        first_queue_offset: i64_at(bytes, 28),
        messages: i16_at(bytes, 36),
        compacted_offset: i32_at(bytes, 38),
    };
    match item {
        BatchItem { messages: 0, .. } => Entry::Unused,
        BatchItem {
            physical_offset: 0..,
            size: 1..=MAX_SIZE,
            first_queue_offset: 0..,
            messages: 1..,
            ..
        } => Entry::Item(item),
        _ => Entry::Damaged,
    }
}

/// The number that a queue stores for a tag. Different tags can have the same number; no tag has 0.
#[must_use]
pub fn tags_code(tag: &str) -> i64 {
    i64::from(java_hash(tag))
}

/// The byte position in the extended queue that a stored tags code stands for, if it does.
#[must_use]
pub const fn extended_position(tags_code: i64) -> Option<i64> {
    if tags_code < i32::MIN as i64 { Some(tags_code.wrapping_sub(i64::MIN)) } else { None }
}

/// The queue offset of the item at byte `position` of the file named `file_base`; `None` for a position between two
/// items and for impossible numbers.
#[must_use]
pub fn queue_offset(file_base: u64, position: u64) -> Option<i64> {
    let byte = file_base.checked_add(position)?;
    if !byte.is_multiple_of(ITEM_BYTES as u64) {
        return None;
    }
    i64::try_from(byte / ITEM_BYTES as u64).ok()
}

/// The number in the name of the file with this queue offset, and the byte position there. `None` for a negative
/// offset, one that is too large, and files of no bytes.
#[must_use]
pub fn locate(queue_offset: i64, file_bytes: u64) -> Option<(u64, u64)> {
    let byte = u64::try_from(queue_offset).ok()?.checked_mul(ITEM_BYTES as u64)?;
    let position = byte.checked_rem(file_bytes)?;
    Some((byte - position, position))
}

#[cfg(test)]
#[path = "consume_queue_tests.rs"]
mod tests;
