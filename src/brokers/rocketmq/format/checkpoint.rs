//! The file `checkpoint` of a store: how far a broker had flushed (RocketMQ formats: store directory).
//!
//! All of it lags behind the contents of the files. It never shows where the log ends.

use thiserror::Error;

use super::fixed::i64_at;

/// Bytes of the file that mean something; the rest of its 4,096 bytes is zero.
pub const CHECKPOINT_BYTES: usize = 40;

/// The file ends too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("checkpoint of {0} bytes is too short")]
pub struct ShortCheckpoint(pub usize);

/// What a broker had flushed. 0 means never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Store time of the last flushed record of the commit log, in milliseconds since the Unix epoch.
    pub commit_log_time_ms: i64,
    /// The same for the consume queues.
    pub consume_queue_time_ms: i64,
    /// The same for the index; set when an index file is full.
    pub index_time_ms: i64,
    /// Physical offset up to which the master had flushed.
    pub master_flushed_offset: i64,
    /// Physical offset known to be confirmed; it can be far behind the end of the log.
    pub confirmed_offset: i64,
}

impl Checkpoint {
    /// Decodes the start of the file.
    ///
    /// # Errors
    /// [`ShortCheckpoint`] with fewer than [`CHECKPOINT_BYTES`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ShortCheckpoint> {
        if bytes.len() < CHECKPOINT_BYTES {
            return Err(ShortCheckpoint(bytes.len()));
        }
        Ok(Self {
            commit_log_time_ms: i64_at(bytes, 0),
            consume_queue_time_ms: i64_at(bytes, 8),
            index_time_ms: i64_at(bytes, 16),
            master_flushed_offset: i64_at(bytes, 24),
            confirmed_offset: i64_at(bytes, 32),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn five_numbers_are_read_in_order(numbers: [i64; 5], rest in proptest::collection::vec(any::<u8>(), 0..20)) {
            let fields = numbers.map(i64::to_be_bytes).concat();
            for end in 0..fields.len() {
                prop_assert_eq!(Checkpoint::decode(&fields[..end]), Err(ShortCheckpoint(end)));
            }
            let found = Checkpoint::decode(&[fields, rest].concat()).unwrap();
            let found = [
                found.commit_log_time_ms,
                found.consume_queue_time_ms,
                found.index_time_ms,
                found.master_flushed_offset,
                found.confirmed_offset,
            ];
            prop_assert_eq!(found, numbers);
        }
    }
}
