//! Where commands print. A reader that has seen enough (`mqlake status | head`) closes the pipe, and that is no failure
//! of the command; a full disk is one, and decides the exit code. Nothing here formats.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

/// Why the output is not whole, if it is not.
static FAILURE: Mutex<Option<String>> = Mutex::new(None);

/// Writes to standard output.
pub(super) fn out(text: Arguments<'_>) {
    note(std::io::stdout().lock().write_fmt(text));
}

/// Writes bytes to standard output.
pub(super) fn out_bytes(bytes: &[u8]) {
    note(std::io::stdout().lock().write_all(bytes));
}

/// Writes to standard error. If that cannot be written there is nobody to tell.
pub(super) fn error(text: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// What could not be written, once all is printed.
pub(super) fn failure() -> Option<String> {
    note(std::io::stdout().lock().flush());
    FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn note(outcome: std::io::Result<()>) {
    let Err(error) = outcome else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        FAILURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
    }
}
