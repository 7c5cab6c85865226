//! Why a worker ended, derived from its status and its last lines.

use super::child::Ended;
use crate::config;
use crate::error::Error;
use crate::query::{limits, session};

/// Texts that report a lack of memory: from callers of the allocator, from vectors, and from threads that cannot start.
const OUT_OF_MEMORY: [&str; 6] = [
    "memory allocation of",
    "capacity overflow",
    "Cannot allocate memory",
    "failed to allocate",
    "Resource temporarily unavailable",
    "out of memory",
];

/// Whether a text reports that memory ran out.
pub(super) fn is_out_of_memory(text: &str) -> bool {
    OUT_OF_MEMORY.iter().any(|known| text.contains(known))
}

/// The error of a statement that made the engine panic.
pub(super) fn of_panic(message: &str, too_much_memory: impl FnOnce() -> Error) -> Error {
    if is_out_of_memory(message) {
        return too_much_memory();
    }
    session::of_text(format!("the engine cannot run this statement: {message}"))
}

/// The error of a statement whose worker ended.
pub(super) fn error(ended: &Ended, settings: &config::Sql) -> Error {
    if ended.is_over_memory || ended.errors.iter().any(|line| is_out_of_memory(line)) {
        return limits::too_much_memory(settings);
    }
    if ended.errors.iter().any(|line| line.contains("overflowed its stack")) {
        return Error::Limit(
            "the statement nests deeper than the engine can follow; write it flatter".to_owned(),
        );
    }
    Error::Engine(format!("the process that ran the statement ended ({}); try again", describe(ended)))
}

/// A short description of how it ended.
pub(super) fn describe(ended: &Ended) -> String {
    let status = ended.status.map_or_else(|| "it did not end".to_owned(), |status| status.to_string());
    let is_reason = |line: &&String| {
        is_out_of_memory(line) || line.contains("overflowed its stack") || line.starts_with("panic at")
    };
    match ended.errors.iter().find(is_reason).or(ended.errors.last()) {
        Some(line) => format!("{status}: {line}"),
        None => status,
    }
}
