//! The last panic of this process. It becomes the error of the statement that caused it.

use std::sync::{Mutex, PoisonError};

static LAST: Mutex<Option<String>> = Mutex::new(None);

fn last_one() -> std::sync::MutexGuard<'static, Option<String>> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs a hook that keeps the last panic and prints it as one line.
pub(super) fn keep_last() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("a panic without a message").to_owned();
        eprintln!("panic at {}: {message}", info.location().map(ToString::to_string).unwrap_or_default());
        *last_one() = Some(message);
    }));
}

/// The last panic since [`forget`].
pub(super) fn last() -> Option<String> {
    last_one().clone()
}

/// Forgets the last panic.
pub(super) fn forget() {
    *last_one() = None;
}
