//! A read-only view of a spool.

use std::sync::Arc;

use super::reader::SpoolReader;
use super::shared::Shared;
use crate::error::Result;

/// A view of a spool for threads that do not append. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpoolView(pub(super) Arc<Shared>);

impl SpoolView {
    /// `from` of the oldest kept frame; equal to [`end`](Self::end) if no frame is kept.
    #[must_use]
    pub fn start(&self) -> Option<u64> {
        self.0.lock().segments.first().map(|segment| segment.start)
    }

    /// Position at which the next frame has to begin; `None` if the spool never had one.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        self.0.lock().end
    }

    /// Bytes of all segments together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.lock().bytes
    }

    /// A reader that begins with the first frame with `to > from`, which may be appended later.
    ///
    /// # Errors
    ///
    /// `Error::Invariant` if `from` is before the oldest frame kept, `Error::Input` if its segment cannot
    /// be opened.
    pub fn reader(&self, from: u64) -> Result<SpoolReader> {
        SpoolReader::new(Arc::clone(&self.0), from)
    }
}
