//! How far an ingestion is, for whoever shows it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Progress of one ingestion; shared between the worker and a display.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of logs read so far.
    pub bytes_read: Arc<AtomicU64>,
    total: AtomicU64,
    phase: Mutex<&'static str>,
    finished: AtomicBool,
}

impl Progress {
    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Bytes to read in all, as far as known.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// What is being done.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        self.phase.lock().map_or("", |phase| *phase)
    }

    /// Whether the ingestion is over.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    pub(super) fn add_total(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn enter(&self, name: &'static str) {
        if let Ok(mut phase) = self.phase.lock() {
            *phase = name;
        }
    }

    pub(super) fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }
}
