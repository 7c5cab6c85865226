//! Why a worker ended, as far as its status and its last lines tell.

use super::child::Ended;
use crate::config;
use crate::error::Error;
use crate::query::{limits, session};

/// What is said where memory cannot be had: by the allocator's caller, by a vector, by a thread that does not start.
const OUT_OF_MEMORY: [&str; 6] = [
    "memory allocation of",
    "capacity overflow",
    "Cannot allocate memory",
    "failed to allocate",
    "Resource temporarily unavailable",
    "out of memory",
];

/// Whether a text tells that memory ran out.
pub(super) fn is_out_of_memory(text: &str) -> bool {
    OUT_OF_MEMORY.iter().any(|known| text.contains(known))
}

/// The error of a panic: the engine has a fault that this statement meets.
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

/// How it ended, in a few words.
pub(super) fn describe(ended: &Ended) -> String {
    let status = ended.status.map_or_else(|| "it did not end".to_owned(), |status| status.to_string());
    let tells = |line: &&String| {
        is_out_of_memory(line) || line.contains("overflowed its stack") || line.starts_with("panic at")
    };
    match ended.errors.iter().find(tells).or(ended.errors.last()) {
        Some(line) => format!("{status}: {line}"),
        None => status,
    }
}
