//! What the worker passes to the flusher, and how much memory all hot rows take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::query::HotFile;

/// Rows from which a hot file is committed without merging.
pub(super) const LARGE_ROWS: u64 = 16 * 1024;

/// The content of one commit: the hot files of a stream since the last cut.
#[derive(Debug)]
pub(super) struct Cut {
    /// Position to which the commit moves the stream.
    pub(super) to: u64,
    pub(super) files: Vec<HotFile>,
    /// State with which replay continues at `to`.
    pub(super) state: Option<Bytes>,
    /// Released when the cut is dropped, committed or not.
    pub(super) _share: HotShare,
}

/// Bytes of hot rows of all streams.
#[derive(Debug, Default)]
pub(crate) struct HotBytes(AtomicUsize);

impl HotBytes {
    pub(super) fn used(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A share of [`HotBytes`], released when it is dropped.
#[derive(Debug)]
pub(super) struct HotShare {
    pub(super) all: Arc<HotBytes>,
    pub(super) bytes: usize,
}

impl HotShare {
    pub(super) fn set(&mut self, bytes: usize) {
        self.all.0.fetch_add(bytes, Ordering::Relaxed);
        self.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for HotShare {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
