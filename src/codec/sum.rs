//! A checksum over records of a log and their offsets, so that a few bytes are enough to recognize a log.
//!
//! Pure arithmetic; callers decide what a difference means.

use serde::{Deserialize, Serialize};

/// A checksum over records and their offsets. Sums of different records, or of the same records at other
/// offsets, are different unless CRC-32 values collide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    records: u64,
    sum: u64,
    /// Offset of the last record.
    last: u64,
    /// Checksum of the last record.
    last_crc: u32,
}

impl Sum {
    /// Adds a record.
    pub fn add(&mut self, offset: u64, record: &[u8]) {
        let crc = crc32fast::hash(record);
        self.records += 1;
        self.sum = self.sum.wrapping_add(mix(offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(crc)));
        self.last = offset;
        self.last_crc = crc;
    }

    /// Offset of the last record.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Whether these bytes are the last record.
    #[must_use]
    pub fn ends_with(&self, record: &[u8]) -> bool {
        crc32fast::hash(record) == self.last_crc
    }

    /// This sum extended by the sum of the records after it.
    #[must_use]
    pub const fn with(self, next: Sum) -> Sum {
        Sum { records: self.records + next.records, sum: self.sum.wrapping_add(next.sum), ..next }
    }
}

/// Mixes all bits of a number (the finalizer of SplitMix64).
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
