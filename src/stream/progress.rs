//! How far an ingestion is, for whoever shows it.
//!
//! It goes through phases. Those that read logs count bytes of logs from where reading begins, others bytes of files; each
//! says how many there are.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Progress of one ingestion; shared between the worker and a display.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of logs read so far.
    pub bytes_read: Arc<AtomicU64>,
    total: AtomicU64,
    /// Bytes of files worked through in a phase that reads no log.
    worked: AtomicU64,
    is_reading: AtomicBool,
    phase: Mutex<&'static str>,
    finished: AtomicBool,
}

impl Progress {
    /// Bytes of logs read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// How far the phase is.
    #[must_use]
    pub fn position(&self) -> u64 {
        match self.is_reading.load(Ordering::Relaxed) {
            true => self.bytes(),
            false => self.worked.load(Ordering::Relaxed),
        }
    }

    /// How far the phase goes, as far as known.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed).max(self.position())
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

    /// A log is to be read whose rest has so many bytes.
    pub(crate) fn add_total(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A phase begins that reads logs.
    pub(crate) fn enter(&self, name: &'static str) {
        self.is_reading.store(true, Ordering::Relaxed);
        self.name(name);
    }

    /// A phase begins that works through so many bytes of files.
    pub fn enter_work(&self, name: &'static str, bytes: u64) {
        self.worked.store(0, Ordering::Relaxed);
        self.total.store(bytes, Ordering::Relaxed);
        self.is_reading.store(false, Ordering::Relaxed);
        self.name(name);
    }

    /// So many bytes of files are done.
    pub fn worked(&self, bytes: u64) {
        self.worked.fetch_add(bytes, Ordering::Relaxed);
    }

    fn name(&self, name: &'static str) {
        if let Ok(mut phase) = self.phase.lock() {
            *phase = name;
        }
    }

    /// All is done.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_own_bar() {
        let progress = Progress::default();
        // reading goes on at the end of an earlier import: the bar is of the rest
        progress.enter("messages");
        progress.add_total(300);
        progress.bytes_read.fetch_add(300, Ordering::Relaxed);
        assert_eq!((progress.phase(), progress.position(), progress.total()), ("messages", 300, 300));
        progress.enter_work("settling", 1000);
        assert_eq!((progress.phase(), progress.position(), progress.total()), ("settling", 0, 1000));
        progress.worked(400);
        progress.worked(600);
        assert_eq!((progress.position(), progress.total(), progress.bytes()), (1000, 1000, 300));
        progress.finish();
        assert!(progress.is_finished());
    }
}
