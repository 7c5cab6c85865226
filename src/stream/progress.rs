//! Progress of an import or of upkeep, for a display.
//!
//! It goes through phases. Phases that read logs count bytes of logs from the position where reading begins, others count
//! bytes of files. Each phase has its own total.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Progress of one command, shared between its work and a display.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of logs read so far.
    pub bytes_read: Arc<AtomicU64>,
    total: AtomicU64,
    /// Bytes of files processed in a phase that reads no log.
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

    /// Bytes processed in this phase.
    #[must_use]
    pub fn position(&self) -> u64 {
        match self.is_reading.load(Ordering::Relaxed) {
            true => self.bytes(),
            false => self.worked.load(Ordering::Relaxed),
        }
    }

    /// Bytes to process in this phase, as far as known.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed).max(self.position())
    }

    /// Name of the phase.
    #[must_use]
    pub fn phase(&self) -> &'static str {
        self.phase.lock().map_or("", |phase| *phase)
    }

    /// Whether all phases are over.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    /// Adds the bytes of a log that are still to be read to the total.
    pub(crate) fn add_total(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Begins a phase that reads logs.
    pub(crate) fn enter(&self, name: &'static str) {
        self.is_reading.store(true, Ordering::Relaxed);
        self.name(name);
    }

    /// Begins a phase that processes so many bytes of files.
    pub fn enter_work(&self, name: &'static str, bytes: u64) {
        self.worked.store(0, Ordering::Relaxed);
        self.total.store(bytes, Ordering::Relaxed);
        self.is_reading.store(false, Ordering::Relaxed);
        self.name(name);
    }

    /// Adds processed bytes of files.
    pub fn worked(&self, bytes: u64) {
        self.worked.fetch_add(bytes, Ordering::Relaxed);
    }

    fn name(&self, name: &'static str) {
        if let Ok(mut phase) = self.phase.lock() {
            *phase = name;
        }
    }

    /// Ends the last phase.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_own_total() {
        let progress = Progress::default();
        // an earlier import has read the beginning of the log: the total is the rest
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
