//! A queue of a topic: which records of the commit log are at which offset, and the search by time.
//!
//! A queue is looked at through a [`View`], which knows what is visible and what retention left.

use super::log::Log;

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) offset: i64,
    /// Offset behind it: more than one further for an inner batch.
    pub(super) next: i64,
    pub(super) record: usize,
}

#[derive(Default, Clone)]
pub(super) struct Queue {
    entries: Vec<Entry>,
    /// Lowest offset that the consume queue still has.
    min: i64,
}

impl Queue {
    /// Offset of the next message, visible or not.
    pub(super) fn next(&self) -> i64 {
        self.entries.last().map_or(self.min, |last| last.next)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        assert!(entry.offset >= self.next(), "queue offset {} is taken", entry.offset);
        if self.entries.is_empty() {
            self.min = entry.offset;
        }
        self.entries.push(entry);
    }

    /// Only the first so many records of the log are left.
    pub(super) fn truncate(&mut self, records: usize) {
        self.entries.retain(|entry| entry.record < records);
    }

    /// The last entries are gone; their records are not.
    pub(super) fn drop_last(&mut self, entries: usize) {
        self.entries.truncate(self.entries.len().saturating_sub(entries));
    }

    /// Retention reaches the consume queue.
    pub(super) fn trim(&mut self, log: &Log) {
        let first = self.entries.partition_point(|entry| log.get(entry.record).physical < log.start);
        let min = self.entries.get(first).map_or(self.next(), |entry| entry.offset);
        self.min = self.min.max(min);
    }

    pub(super) fn view<'a>(&'a self, log: &'a Log) -> View<'a> {
        let shown = self.entries.partition_point(|entry| entry.record < log.visible);
        let entries = &self.entries[..shown];
        let end = entries.last().map_or(self.min, |last| last.next);
        View { entries, log, min: self.min, max: end.max(self.min) }
    }
}

/// What a client can see of a queue.
pub(super) struct View<'a> {
    entries: &'a [Entry],
    log: &'a Log,
    /// First offset.
    pub(super) min: i64,
    /// Offset of the next message.
    pub(super) max: i64,
}

impl<'a> View<'a> {
    /// A queue that never had a message.
    pub(super) fn empty(log: &'a Log) -> Self {
        View { entries: &[], log, min: 0, max: 0 }
    }

    /// Entries from an offset on, gone or not. Starts with the batch the offset lies in.
    pub(super) fn from(&self, offset: i64) -> &'a [Entry] {
        &self.entries[self.entries.partition_point(|entry| entry.next <= offset)..]
    }

    /// Entries whose records are left.
    fn live(&self) -> &'a [Entry] {
        let gone = |entry: &Entry| self.log.get(entry.record).physical < self.log.start;
        &self.entries[self.entries.partition_point(gone)..]
    }

    fn time(&self, entry: &Entry) -> i64 {
        self.log.get(entry.record).store_time
    }

    /// Store time of the message at an offset, if it is left.
    pub(super) fn time_at(&self, offset: i64) -> Option<i64> {
        let entry = self.from(offset).first().filter(|entry| entry.offset <= offset)?;
        self.log.is_live(entry.record).then(|| self.time(entry))
    }

    /// Store time of the first message: -1 if there is none, or if it is gone and the consume queue was not trimmed.
    pub(super) fn earliest(&self) -> i64 {
        self.time_at(self.min).unwrap_or(-1)
    }

    /// When the last message came: 0 if there never was one, -1 if it is gone.
    pub(super) fn last_update(&self) -> i64 {
        if self.max == 0 { 0 } else { self.time_at(self.max - 1).unwrap_or(-1) }
    }

    /// First offset with a store time not before `time`, else the end.
    pub(super) fn lower(&self, time: i64) -> i64 {
        let live = self.live();
        let found = live.partition_point(|entry| self.time(entry) < time);
        let last_batch = live.last().filter(|last| last.next > last.offset + 1);
        let offset = match live.get(found) {
            Some(entry) => entry.offset,
            // In a queue of batches the last one is the answer, not the end.
            None => last_batch.map_or(self.max, |last| last.offset),
        };
        offset.clamp(self.min, self.max)
    }

    /// Last offset with a store time not after `time`, else the minimum.
    pub(super) fn upper(&self, time: i64) -> i64 {
        let live = self.live();
        let found = live.partition_point(|entry| self.time(entry) <= time);
        let first = live.first().map_or(self.min, |first| first.offset);
        let offset = found.checked_sub(1).map_or(first, |last| live[last].offset);
        offset.clamp(self.min, self.max)
    }

    /// What brokers before boundaries answer: an offset with this store time, else the nearer neighbour.
    pub(super) fn nearest(&self, time: i64) -> i64 {
        let live = self.live();
        let after = live.partition_point(|entry| self.time(entry) < time);
        let distance = |entry: &Entry| (i128::from(self.time(entry)) - i128::from(time)).abs();
        let neighbours = [after.checked_sub(1), Some(after)];
        let neighbours = neighbours.into_iter().flatten().filter_map(|at| live.get(at));
        neighbours.min_by_key(|entry| distance(entry)).map_or(self.min, |entry| entry.offset)
    }
}
