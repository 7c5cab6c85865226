//! Posted traces that wait for a commit, so that those that arrive at about the same time are committed together.

use axum::body::Bytes;
use tokio::sync::{Mutex, oneshot};

/// Bodies that wait for a commit.
#[derive(Default)]
pub(super) struct TraceInbox {
    pub(super) waiting: Mutex<Vec<Waiting>>,
    /// Locked by the request that commits.
    pub(super) committing: Mutex<()>,
}

/// A body, and the channel on which its sender waits for the result.
pub(super) struct Waiting {
    pub(super) body: Bytes,
    pub(super) client_host: Option<String>,
    pub(super) done: oneshot::Sender<std::result::Result<(u64, u64), String>>,
}
