//! The seam between the engine and a system: what turns records into rows, and what the rows are committed as.
//!
//! A system implements these for each of its logs; the engine knows no more of it. Every implementation is pure: the same
//! frames give the same rows. Nothing here reads a file, a clock or the lake.

use bytes::Bytes;

use super::spool::OwnedFrame;
use crate::error::Result;
use crate::rows::{BatchContext, Rows};

/// Turns the records of one stream into rows.
pub(crate) trait Replay: Send {
    /// Replays a frame of the spool; returns the number of records in it that could not be used.
    ///
    /// # Errors
    /// [`crate::error::Error::Invariant`] for a frame that does not belong to the stream.
    fn frame(&mut self, frame: &OwnedFrame) -> Result<u64>;

    /// What was replayed and not taken yet.
    fn pending(&self) -> Pending;

    /// Hands the rows over and begins anew.
    fn take(&mut self) -> Box<dyn Batch>;

    /// What is needed, beside the position, to go on behind the last frame; `None` if the position tells all.
    ///
    /// # Errors
    /// If the state cannot be encoded.
    fn state(&self) -> Result<Option<Bytes>>;
}

/// How much waits to be taken.
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

/// Rows of a stretch of one stream.
pub(crate) trait Batch: Send + Sync {
    /// The rows, table by table, in the order of the log's tables.
    fn tables(&self) -> Vec<Box<dyn Rows + '_>>;

    /// What the rows refer to.
    fn context<'a>(&'a self, broker_group: &'a str) -> BatchContext<'a>;
}
