//! The seam between the engine and a system: how records become rows, and how rows become tables.
//!
//! A system implements these traits for each of its logs; the engine knows nothing else of a system. Every implementation
//! is pure: the same frames give the same rows. Nothing here reads a file, a clock or the lake.

use bytes::Bytes;

use super::spool::OwnedFrame;
use crate::error::Result;
use crate::rows::{BatchContext, Rows};

/// Turns the records of one stream into rows.
pub(crate) trait Replay: Send {
    /// Replays a frame of the spool; returns how many of its records could not be used.
    ///
    /// # Errors
    /// [`crate::error::Error::Invariant`] for a frame that does not belong to the stream.
    fn frame(&mut self, frame: &OwnedFrame) -> Result<u64>;

    /// Size of the rows that were replayed and not taken yet.
    fn pending(&self) -> Pending;

    /// Returns the pending rows and begins a new batch.
    fn take(&mut self) -> Box<dyn Batch>;

    /// The state with which replay continues after the last frame; `None` if the position is enough.
    ///
    /// # Errors
    /// If the state cannot be encoded.
    fn state(&self) -> Result<Option<Bytes>>;
}

/// Size of the pending rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Rows.
    pub(crate) rows: usize,
    /// Bytes of ids, texts and bodies.
    pub(crate) bytes: usize,
}

impl Pending {
    /// Whether one of the bounds is reached.
    pub(crate) fn reaches(self, rows: usize, bytes: usize) -> bool {
        self.rows >= rows || self.bytes >= bytes
    }
}

/// Rows of a range of one stream.
pub(crate) trait Batch: Send + Sync {
    /// The rows of each table, in the order of the log's tables.
    fn tables(&self) -> Vec<Box<dyn Rows + '_>>;

    /// The names and constants to which the rows refer.
    fn context<'a>(&'a self, broker_group: &'a str) -> BatchContext<'a>;
}
