//! Posted traces that wait for a commit, so that what arrives within a moment is committed together.

use axum::body::Bytes;
use tokio::sync::{Mutex, oneshot};

/// Bodies that wait for a commit.
#[derive(Default)]
pub(super) struct TraceInbox {
    pub(super) waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever commits.
    pub(super) committing: Mutex<()>,
}

/// A body, and who waits for what became of it.
pub(super) struct Waiting {
    pub(super) body: Bytes,
    pub(super) client_host: Option<String>,
    pub(super) done: oneshot::Sender<std::result::Result<(u64, u64), String>>,
}
