//! Output of commands. A reader that closes the pipe early (`mqlake status | head`) is no failure of the command. Any
//! other failed write, such as a full disk, is one, and decides the exit code. Nothing here formats.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

/// The first failed write, if any.
static FAILURE: Mutex<Option<String>> = Mutex::new(None);

/// Writes to standard output.
pub(super) fn out(text: Arguments<'_>) {
    note(std::io::stdout().lock().write_fmt(text));
}

/// Writes bytes to standard output.
pub(super) fn out_bytes(bytes: &[u8]) {
    note(std::io::stdout().lock().write_all(bytes));
}

/// Writes to standard error. A failure of that is ignored: there is no other place to report it.
pub(super) fn error(text: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// The failure of writing, once everything is printed.
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
