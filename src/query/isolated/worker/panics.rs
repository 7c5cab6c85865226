//! The last panic: what a statement is told that ran into a fault of the engine.

use std::sync::{Mutex, PoisonError};

static LAST: Mutex<Option<String>> = Mutex::new(None);

fn last_one() -> std::sync::MutexGuard<'static, Option<String>> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on panics are kept, and told in one line.
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

pub(super) fn forget() {
    *last_one() = None;
}
