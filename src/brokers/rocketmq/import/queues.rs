//! First offset of each queue that the commit log still has, from the consume queues of a store.

use std::fs;
use std::path::Path;

use crate::brokers::rocketmq::format::consume_queue;
use crate::brokers::rocketmq::format::consume_queue::{BATCH_ITEM_BYTES, Entry, ITEM_BYTES};
use crate::brokers::rocketmq::store::{QueueDirectory, StoreDirectory, StoreError};

/// One queue.
pub(super) struct QueueBound {
    pub(super) topic: String,
    pub(super) queue_id: i32,
    /// First offset whose record is still there; the end of the queue if none is.
    pub(super) first: i64,
}

/// All queues of a store.
pub(super) struct QueueBounds {
    pub(super) queues: Vec<QueueBound>,
}

impl QueueBounds {
    /// Reads the beginning of each queue.
    pub(super) fn read(store: &StoreDirectory) -> Result<QueueBounds, StoreError> {
        let start = store.commit_log_files()?.first().map_or(0, |file| file.base);
        let mut queues = Vec::new();
        for queue in store.consume_queues()? {
            let first = first_offset(&queue, start)
                .map_err(|source| StoreError::Read { path: queue.path.clone(), source })?;
            queues.push(QueueBound { topic: queue.topic, queue_id: queue.queue_id, first });
        }
        Ok(QueueBounds { queues })
    }
}

/// The first offset of a queue whose record lies at `start` or behind it.
fn first_offset(queue: &QueueDirectory, start: i64) -> std::io::Result<i64> {
    let mut files: Vec<(u64, std::path::PathBuf)> = Vec::new();
    for entry in fs::read_dir(&queue.path)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(base) = name.filter(|name| name.len() == 20).and_then(|name| name.parse().ok()) {
            files.push((base, path));
        }
    }
    files.sort();
    let mut end = files.first().map_or(0, |(base, _)| offset_at(queue, *base, 0));
    for (base, path) in &files {
        let (found, items_end) =
            if queue.is_batch { of_batches(path, start)? } else { of_items(path, *base, start)? };
        if let Some(first) = found {
            return Ok(first);
        }
        end = end.max(items_end);
    }
    Ok(end)
}

fn offset_at(queue: &QueueDirectory, base: u64, position: u64) -> i64 {
    if queue.is_batch { 0 } else { consume_queue::queue_offset(base, position).unwrap_or(0) }
}

/// The first item that still points into the log, and the offset behind the last item.
fn of_items(path: &Path, base: u64, start: i64) -> std::io::Result<(Option<i64>, i64)> {
    let bytes = fs::read(path)?;
    let (items, _) = bytes.as_chunks::<ITEM_BYTES>();
    let mut end = consume_queue::queue_offset(base, 0).unwrap_or(0);
    for (item, index) in items.iter().zip(0_u64..) {
        let offset = consume_queue::queue_offset(base, index * ITEM_BYTES as u64).unwrap_or(0);
        match consume_queue::decode(item) {
            Entry::Item(item) if item.physical_offset >= start => return Ok((Some(offset), offset)),
            Entry::Unused => break,
            _ => end = offset + 1,
        }
    }
    Ok((None, end))
}

fn of_batches(path: &Path, start: i64) -> std::io::Result<(Option<i64>, i64)> {
    let bytes = fs::read(path)?;
    let (items, _) = bytes.as_chunks::<BATCH_ITEM_BYTES>();
    let mut end = 0;
    for item in items {
        match consume_queue::decode_batch(item) {
            Entry::Item(item) if item.physical_offset >= start => {
                return Ok((Some(item.first_queue_offset), item.first_queue_offset));
            }
            Entry::Item(item) => end = item.first_queue_offset + i64::from(item.messages),
            Entry::Unused => break,
            _ => {}
        }
    }
    Ok((None, end))
}
