//! Watches the total memory of all workers on a separate thread. While statements run, it measures every 10 ms, even if
//! the server's other threads are busy.
//!
//! **MEMORY-BOUNDED**: a worker limits its own memory (`worker/`), so no single allocation exceeds `sql.memory`. This
//! module bounds the sum: when it is exceeded, the largest worker is ended. Between two measurements the sum can be
//! exceeded.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;

use super::os;
use crate::error::{Error, Result};

/// How often memory is measured while statements run.
const EVERY: Duration = Duration::from_millis(10);
/// How often the thread checks whether it is still needed while nothing runs.
const AT_REST: Duration = Duration::from_secs(1);
/// Memory that idle workers may use beside `sql.memory`.
const IDLE_BYTES: u64 = 64 << 20;

/// A worker that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) process: u32,
    /// Memory before its first statement.
    idle_bytes: AtomicU64,
    bytes: AtomicU64,
    /// Maximum bytes since the running statement began.
    peak: AtomicU64,
    over_memory: AtomicBool,
}

impl Watched {
    /// Whether it was ended because the workers' memory exceeded the limit.
    pub(super) fn is_over_memory(&self) -> bool {
        self.over_memory.load(Ordering::Relaxed)
    }

    /// Maximum bytes of the last statement, beyond those of an idle worker.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed).saturating_sub(self.idle_bytes.load(Ordering::Relaxed))
    }

    /// Records the memory that it uses without a statement.
    pub(super) fn set_idle_bytes(&self, bytes: u64) {
        self.idle_bytes.store(bytes, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    fn measure(&self) -> u64 {
        let bytes = os::memory(self.process).unwrap_or_default().own;
        self.bytes.store(bytes, Ordering::Relaxed);
        self.peak.fetch_max(bytes, Ordering::Relaxed);
        bytes
    }
}

/// Keeps a worker watched until it is dropped.
#[derive(Debug)]
pub(super) struct Watching {
    shared: Arc<Shared>,
    watched: Arc<Watched>,
}

impl Watching {
    /// Stops watching. Must be called before the process is waited for, since its id can be reused from then on.
    pub(super) fn stop(&self) {
        self.shared.workers().retain(|other| !Arc::ptr_eq(other, &self.watched));
    }
}

impl std::ops::Deref for Watching {
    type Target = Watched;

    fn deref(&self) -> &Watched {
        &self.watched
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The watch over all workers of a server.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug)]
struct Shared {
    max_bytes: u64,
    workers: Mutex<Vec<Arc<Watched>>>,
    running: AtomicUsize,
}

/// Counts a statement as running until it is dropped.
#[derive(Debug)]
pub(super) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watch {
    /// Starts watching. `max_bytes` is `sql.memory`.
    pub(super) fn start(max_bytes: u64) -> Result<Watch> {
        let shared = Arc::new(Shared { max_bytes, workers: Mutex::default(), running: AtomicUsize::new(0) });
        let seen = Arc::downgrade(&shared);
        let thread = std::thread::Builder::new()
            .name("mqlake-sql-watch".to_owned())
            .spawn(move || watch(&seen))
            .map_err(|error| Error::Config(format!("sql: no thread: {error}")))?;
        Ok(Watch { shared, thread: thread.thread().clone() })
    }

    /// Adds a new worker.
    pub(super) fn add(&self, process: u32) -> Watching {
        let watched = Arc::new(Watched {
            process,
            idle_bytes: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            over_memory: AtomicBool::new(false),
        });
        self.shared.workers().push(watched.clone());
        Watching { shared: self.shared.clone(), watched }
    }

    /// A statement begins on a worker.
    pub(super) fn begin(&self, worker: &Watched) -> Running {
        worker.peak.store(0, Ordering::Relaxed);
        self.shared.running.fetch_add(1, Ordering::Relaxed);
        self.thread.unpark();
        Running(self.shared.clone())
    }

    /// Number of workers that are ready or run something, and the memory of all in bytes.
    pub(super) fn usage(&self) -> (usize, u64) {
        let workers = self.shared.workers();
        let ready = workers.iter().filter(|worker| worker.idle_bytes.load(Ordering::Relaxed) > 0);
        (ready.count(), workers.iter().map(|worker| worker.measure()).sum())
    }
}

impl Shared {
    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Watched>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enforce(&self) {
        let workers = self.workers();
        let sum: u64 = workers.iter().map(|worker| worker.measure()).sum();
        let idle: u64 = workers.iter().map(|worker| worker.idle_bytes.load(Ordering::Relaxed)).sum();
        if sum <= self.max_bytes + idle.max(IDLE_BYTES) {
            return;
        }
        if let Some(largest) = workers.iter().max_by_key(|worker| worker.bytes.load(Ordering::Relaxed)) {
            largest.over_memory.store(true, Ordering::Relaxed);
            os::kill(largest.process);
        }
    }
}

fn watch(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        let is_running = shared.running.load(Ordering::Relaxed) > 0;
        if is_running {
            shared.enforce();
        }
        drop(shared);
        if is_running { std::thread::sleep(EVERY) } else { std::thread::park_timeout(AT_REST) }
    }
}
