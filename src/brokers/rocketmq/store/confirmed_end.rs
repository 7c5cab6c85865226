//! The end of the commit log according to the consume queues.
//!
//! Items of a queue are in the order of the log, and behind the last one a file holds zeros. So the last item within
//! the log is found by bisection with a few small reads, and only in the newest file that has one. Nothing else is
//! read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::files::{NumberedFile, if_there, numbered_files};
use super::queue::QueueDirectory;
use crate::brokers::rocketmq::format::consume_queue;
use crate::brokers::rocketmq::format::consume_queue::{BATCH_ITEM_BYTES, Entry, ITEM_BYTES};

/// Digits in the name of a queue's file.
const NAME_DIGITS: usize = 20;

/// Bytes of the log that a record takes up.
type Extent = Range<i64>;

/// The largest end of a record in `log` that one of the queues points at.
pub(super) fn confirmed_end(queues: &[QueueDirectory], log: &Extent) -> io::Result<Option<i64>> {
    let mut largest = None;
    for queue in queues {
        let last = match queue.is_batch {
            false => last_record(queue, log, |bytes: &[u8; ITEM_BYTES]| {
                extent(consume_queue::decode(bytes), |item| (item.physical_offset, item.size))
            })?,
            true => last_record(queue, log, |bytes: &[u8; BATCH_ITEM_BYTES]| {
                extent(consume_queue::decode_batch(bytes), |item| (item.physical_offset, item.size))
            })?,
        };
        // The records of the other queues' last items can already be deleted.
        let end = last.filter(|last| last.start >= log.start).map(|last| last.end);
        largest = largest.max(end);
    }
    Ok(largest)
}

fn extent<T>(entry: Entry<T>, place: impl Fn(&T) -> (i64, i32)) -> Entry<Extent> {
    match entry {
        Entry::Item(item) => {
            let (offset, size) = place(&item);
            offset.checked_add(i64::from(size)).map_or(Entry::Damaged, |end| Entry::Item(offset..end))
        }
        Entry::Filler => Entry::Filler,
        Entry::Unused => Entry::Unused,
        Entry::Damaged => Entry::Damaged,
    }
}

/// The last record of a queue that does not end beyond the log.
fn last_record<const N: usize>(
    queue: &QueueDirectory,
    log: &Extent,
    decode: impl Fn(&[u8; N]) -> Entry<Extent>,
) -> io::Result<Option<Extent>> {
    for file in numbered_files(&queue.path, NAME_DIGITS)?.iter().rev() {
        if let Some(last) = last_record_of(file, log, &decode)? {
            return Ok(Some(last));
        }
    }
    Ok(None)
}

fn last_record_of<const N: usize>(
    file: &NumberedFile,
    log: &Extent,
    decode: impl Fn(&[u8; N]) -> Entry<Extent>,
) -> io::Result<Option<Extent>> {
    let Some(mut reader) = if_there(File::open(&file.path))? else { return Ok(None) };
    let (mut low, mut high) = (0, file.bytes / N as u64);
    let mut last = None;
    while low < high {
        let middle = low + (high - low) / 2;
        let mut bytes = [0; N];
        reader.seek(SeekFrom::Start(middle * N as u64))?;
        reader.read_exact(&mut bytes)?;
        match decode(&bytes) {
            Entry::Item(record) if record.end <= log.end => {
                last = Some(record);
                low = middle + 1;
            }
            // Fillers only stand before the first item.
            Entry::Filler => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(last)
}
