//! What a spool holds, for those who do not write it.

use std::sync::Arc;

use super::reader::SpoolReader;
use super::shared::Shared;
use crate::error::Result;

/// A look at a spool from another thread than the one that appends. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpoolView(pub(super) Arc<Shared>);

impl SpoolView {
    /// `from` of the oldest frame kept; the same as [`end`](Self::end) if no frame is kept.
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

    /// A reader whose first frame is the first one with `to > from`, which may be appended later.
    ///
    /// # Errors
    ///
    /// `Error::Invariant` if `from` is before the oldest frame kept, `Error::Input` if its segment cannot
    /// be opened.
    pub fn reader(&self, from: u64) -> Result<SpoolReader> {
        SpoolReader::new(Arc::clone(&self.0), from)
    }
}
