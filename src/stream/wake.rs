//! A signal from async tasks to a thread that waits for work.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A notification that one thread waits for. It is kept until the next wait if nobody waits yet.
#[derive(Debug, Default)]
pub(super) struct Wake {
    is_notified: Mutex<bool>,
    changed: Condvar,
}

impl Wake {
    pub(super) fn notify(&self) {
        *self.is_notified.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits for a notification, at most this long.
    pub(super) fn wait(&self, most: Duration) {
        let is_notified = self.is_notified.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_notified, most, |is_notified| !*is_notified);
        let (mut is_notified, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *is_notified = false;
    }
}
