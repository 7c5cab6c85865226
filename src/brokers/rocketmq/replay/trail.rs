//! A summary of what was read of a commit log, so that an import recognises the log.
//!
//! A broker can lose the end of its log in a crash and write other records there, or lose all of it and begin again. So
//! checksums over stretches of the log are stored beside the queue offsets: short stretches near the end, long ones
//! further back. This module only computes them; `import/resume.rs` compares them with a log.
//!
//! Positions of the stream only grow. Where another log begins, the stream continues at the next position, and from
//! there on [`Trail::position`] maps an offset of that log to its position in the stream.

use serde::{Deserialize, Serialize};

use crate::brokers::rocketmq::format::record::Record;
use crate::codec::Sum;

/// Bytes from which a stretch is complete.
const STRETCH_BYTES: u64 = 256 << 10;
/// Most stretches of one level, before two of them are merged into one of the next level.
const MOST_OF_A_LEVEL: usize = 4;

/// A summary of what was read of a commit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trail {
    /// Position in the stream minus offset in the log.
    shift: i64,
    /// How often the log was replaced, as a whole or at its end.
    pub generation: u32,
    /// Newest store time of all records, epoch milliseconds.
    pub newest_stored: Option<i64>,
    /// The stretches in the order of the log.
    stretches: Vec<Stretch>,
}

/// A stretch of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Offset of its first record.
    pub from: u64,
    /// Offset behind its last record.
    pub to: u64,
    /// How often stretches were merged into this one.
    level: u8,
    /// The records in it.
    pub sum: Sum,
}

impl Trail {
    /// Position in the stream of an offset in the log.
    #[must_use]
    pub const fn position(&self, offset: u64) -> u64 {
        offset.saturating_add_signed(self.shift)
    }

    /// Offset in the log of a position in the stream.
    #[must_use]
    pub const fn offset(&self, position: u64) -> u64 {
        position.saturating_add_signed(self.shift.saturating_neg())
    }

    /// The stretches in the order of the log.
    #[must_use]
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// Adds a record of the log.
    pub fn note(&mut self, offset: u64, record: &Record<'_>) {
        self.newest_stored = self.newest_stored.max(Some(record.store_timestamp));
        let to = offset.saturating_add(record.size() as u64);
        if let Some(open) = self.stretches.last_mut().filter(|last| last.is_open() && last.to <= offset) {
            open.sum.add(offset, record.bytes);
            open.to = to;
        } else {
            let mut sum = Sum::default();
            sum.add(offset, record.bytes);
            self.stretches.push(Stretch { from: offset, to, level: 0, sum });
        }
        if self.stretches.last().is_some_and(|last| !last.is_open()) {
            self.merge();
        }
    }

    /// Merges old stretches into longer ones.
    fn merge(&mut self) {
        let mut level = 0;
        loop {
            let of_level = self.stretches.iter().filter(|stretch| stretch.level == level).count();
            let first = self.stretches.iter().position(|stretch| stretch.level == level);
            let (true, Some(first)) = (of_level > MOST_OF_A_LEVEL, first) else { return };
            let second = self.stretches.remove(first + 1);
            if let Some(merged) = self.stretches.get_mut(first) {
                merged.to = second.to;
                merged.sum = merged.sum.with(second.sum);
                merged.level += 1;
            }
            level += 1;
        }
    }

    /// From `offset` on the log is another one; it continues at `position` of the stream.
    pub fn replace_from(&mut self, offset: u64, position: u64) {
        self.stretches.retain(|stretch| stretch.to <= offset);
        self.shift = position.checked_signed_diff(offset).unwrap_or(i64::MAX);
        self.generation = self.generation.saturating_add(1);
    }
}

impl Stretch {
    const fn is_open(&self) -> bool {
        self.level == 0 && self.to - self.from < STRETCH_BYTES
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trail(records: &[Vec<u8>]) -> Trail {
        let (mut trail, mut offset) = (Trail::default(), 0);
        for bytes in records {
            trail.note(offset, &Record { bytes, store_timestamp: 7, ..Record::default() });
            offset += bytes.len() as u64;
        }
        trail
    }

    #[test]
    fn stretches_are_few_adjoin_and_are_short_at_the_end() {
        let records = vec![vec![1; 100_000]; 3000];
        let trail = trail(&records);
        let stretches = trail.stretches();
        assert_eq!((stretches[0].from, stretches.last().unwrap().to), (0, 300_000_000));
        assert!(stretches.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert!(stretches.len() < 50, "{}", stretches.len());
        let bytes = |stretch: &Stretch| stretch.to - stretch.from;
        // what has to be read to compare so many bytes of the end is not much more
        for wanted in [1 << 20, 10 << 20, 100 << 20] {
            let mut read = 0;
            for stretch in stretches.iter().rev() {
                read += if read < wanted { bytes(stretch) } else { 0 };
            }
            assert!(read < 3 * wanted, "{wanted}: {read}");
        }
    }

    #[test]
    fn another_log_goes_on_behind_the_positions_of_the_first() {
        let mut trail = trail(&vec![vec![1; 300_000]; 10]);
        trail.replace_from(1_000_000, 3_000_001);
        assert_eq!(trail.stretches().last().map(|last| last.to), Some(600_000));
        assert_eq!((trail.position(1_000_000), trail.offset(3_000_051)), (3_000_001, 1_000_050));
        trail.replace_from(9_000_000, 3_000_100);
        assert_eq!(
            (trail.position(9_000_000), trail.offset(3_000_101), trail.generation),
            (3_000_100, 9_000_001, 2)
        );
        let stored = serde_json::to_string(&trail).unwrap();
        assert_eq!(serde_json::from_str::<Trail>(&stored).unwrap(), trail);
    }

    proptest! {
        #[test]
        fn sums_differ_where_records_do(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 1..20),
            which in any::<prop::sample::Index>(),
            byte in any::<prop::sample::Index>(),
        ) {
            let mut other = records.clone();
            let record = &mut other[which.index(records.len())];
            let at = byte.index(record.len());
            record[at] ^= 1;
            let sums = [&records, &other].map(|records| trail(records).stretches()[0].sum);
            prop_assert_ne!(sums[0], sums[1]);
        }
    }
}
