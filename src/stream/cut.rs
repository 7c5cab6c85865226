//! What the worker hands to the flusher, and how much memory all of it takes up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::query::HotFile;

/// Rows from which a hot file is committed as it is.
pub(super) const LARGE_ROWS: u64 = 16 * 1024;

/// What a commit consists of: the hot files of a stretch of a stream, which end where the commit ends.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) to: u64,
    pub(super) files: Vec<HotFile>,
    /// What is needed to go on at `to`.
    pub(super) state: Option<Bytes>,
    /// Given back when the cut is committed or given up.
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

/// A part of [`HotBytes`], given back when it is dropped.
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
