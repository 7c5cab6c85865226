//! State that the writer shares with readers: the segments, and how many bytes of each are whole frames.
//!
//! It holds neither frames nor open files.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One segment file as readers see it.
#[derive(Debug)]
pub(super) struct Segment {
    /// Increases from segment to segment; never used twice while the spool is open.
    pub(super) id: u64,
    /// Position at which its first frame begins.
    pub(super) start: u64,
    pub(super) path: PathBuf,
    published: AtomicU64,
}

impl Segment {
    pub(super) fn new(id: u64, start: u64, path: PathBuf, bytes: u64) -> Self {
        Self { id, start, path, published: AtomicU64::new(bytes) }
    }

    /// Bytes of the file that are whole frames. Readers never read beyond them.
    pub(super) fn bytes(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }
}

/// The segments, oldest first.
///
/// Locked while a file gets or loses its name, so that a reader that holds the lock opens the right file.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) end: Option<u64>,
    pub(super) bytes: u64,
}

/// The published state of a spool.
#[derive(Debug)]
pub(super) struct Shared {
    /// Increases with each reset. Only written while `state` is locked.
    generation: AtomicU64,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(generation: u64, state: State) -> Self {
        Self { generation: AtomicU64::new(generation), state: Mutex::new(state) }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The locked state. No change to it can fail halfway, so a poisoned lock is usable.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a whole frame of `bytes` at the end of `segment` visible.
    pub(super) fn publish(&self, segment: &Segment, bytes: u64, end: u64) {
        let mut state = self.lock();
        segment.published.fetch_add(bytes, Ordering::Release);
        state.bytes += bytes;
        state.end = Some(end);
    }

    /// Replaces all segments by one of a new generation; returns the old ones.
    pub(super) fn replace(&self, state: &mut State, generation: u64, segment: Segment) -> Vec<Arc<Segment>> {
        self.generation.store(generation, Ordering::Release);
        let before = std::mem::take(&mut state.segments);
        state.add(Arc::new(segment));
        before
    }
}

impl State {
    /// Adds a segment without frames, replacing one with the same path; returns how many it replaced.
    pub(super) fn add(&mut self, segment: Arc<Segment>) -> usize {
        let before = self.segments.len();
        self.segments.retain(|other| other.path != segment.path);
        let replaced = before - self.segments.len();
        self.end = Some(segment.start);
        self.segments.push(segment);
        self.count();
        replaced
    }

    /// Removes the oldest segment from the list if it ends at or before `position`.
    pub(super) fn pop_below(&mut self, position: u64) -> Option<Arc<Segment>> {
        // a segment ends where the next one starts
        self.segments.get(1).filter(|next| next.start <= position)?;
        let oldest = self.segments.remove(0);
        self.count();
        Some(oldest)
    }

    fn count(&mut self) {
        self.bytes = self.segments.iter().map(|segment| segment.bytes()).sum();
    }
}
