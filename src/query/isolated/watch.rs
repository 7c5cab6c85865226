//! Watches the memory of all workers together, on a thread of its own: whatever keeps the server's other threads
//! busy, it looks every few milliseconds while statements run.
//!
//! **MEMORY-BOUNDED**: a worker limits itself (`worker/`), so that one allocation cannot be larger than `sql.memory`;
//! this bounds their sum. The largest one is ended when the sum is too much.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;

use super::os;
use crate::error::{Error, Result};

/// How often memory is looked at while statements run.
const EVERY: Duration = Duration::from_millis(10);
/// How often a thread without work looks whether it is still needed.
const AT_REST: Duration = Duration::from_secs(1);
/// What workers that do nothing may take beside `sql.memory`.
const IDLE_BYTES: u64 = 64 << 20;

/// A worker that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) process: u32,
    /// Memory before its first statement.
    idle_bytes: AtomicU64,
    bytes: AtomicU64,
    /// Most bytes since the running statement began.
    peak: AtomicU64,
    over_memory: AtomicBool,
}

impl Watched {
    /// Whether it was ended because memory ran out.
    pub(super) fn is_over_memory(&self) -> bool {
        self.over_memory.load(Ordering::Relaxed)
    }

    /// Most bytes of the statement that ran last, beyond what an idle worker has.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed).saturating_sub(self.idle_bytes.load(Ordering::Relaxed))
    }

    /// Remembers how much it takes without a statement.
    pub(super) fn is_idle_at(&self, bytes: u64) {
        self.idle_bytes.store(bytes, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    fn look(&self) -> u64 {
        let bytes = os::memory(self.process).unwrap_or_default().own;
        self.bytes.store(bytes, Ordering::Relaxed);
        self.peak.fetch_max(bytes, Ordering::Relaxed);
        bytes
    }
}

/// A worker is watched as long as this lives.
#[derive(Debug)]
pub(super) struct Watching {
    shared: Arc<Shared>,
    watched: Arc<Watched>,
}

impl Watching {
    /// Stops it; before a process is waited for, since its number may be given to another one then.
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
    most: u64,
    workers: Mutex<Vec<Arc<Watched>>>,
    running: AtomicUsize,
}

/// A statement runs as long as this lives.
#[derive(Debug)]
pub(super) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watch {
    /// Starts watching; `most` is `sql.memory`.
    pub(super) fn start(most: u64) -> Result<Watch> {
        let shared = Arc::new(Shared { most, workers: Mutex::default(), running: AtomicUsize::new(0) });
        let seen = Arc::downgrade(&shared);
        let thread = std::thread::Builder::new()
            .name("mqlake-sql-watch".to_owned())
            .spawn(move || watch(&seen))
            .map_err(|error| Error::Config(format!("sql: no thread: {error}")))?;
        Ok(Watch { shared, thread: thread.thread().clone() })
    }

    /// Takes a new worker in.
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
        (ready.count(), workers.iter().map(|worker| worker.look()).sum())
    }
}

impl Shared {
    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Watched>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let workers = self.workers();
        let sum: u64 = workers.iter().map(|worker| worker.look()).sum();
        let idle: u64 = workers.iter().map(|worker| worker.idle_bytes.load(Ordering::Relaxed)).sum();
        if sum <= self.most + idle.max(IDLE_BYTES) {
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
            shared.look();
        }
        drop(shared);
        if is_running { std::thread::sleep(EVERY) } else { std::thread::park_timeout(AT_REST) }
    }
}
