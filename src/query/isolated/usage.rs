//! State and counters of SQL, for metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;

/// State and counters of SQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Statements that run now.
    pub running: u64,
    /// Statements that wait for a permit.
    pub queued: u64,
    /// Processes that run statements or are idle.
    pub workers: usize,
    /// Their memory, without the program's code, which they share.
    pub memory_bytes: u64,
    /// Statements that ended with all of their rows.
    pub complete: u64,
    /// Statements that were refused or ended without all of their rows, by reason: the setting whose limit was reached,
    /// or `sql`, `store`, `engine`, `other`.
    pub refused: BTreeMap<&'static str, u64>,
    /// Statements that took longer than `sql.slow`.
    pub slow: u64,
    /// Processes that ended unexpectedly.
    pub died: u64,
}

/// Settings whose limits a statement can reach.
const SETTINGS: [&str; 9] = [
    "max_statement",
    "max_concurrency",
    "max_rows",
    "max_row",
    "max_bytes",
    "timeout",
    "memory",
    "spill_max",
    "spill_dir",
];

#[derive(Debug, Default)]
pub(super) struct Counters {
    running: Arc<AtomicU64>,
    queued: Arc<AtomicU64>,
    complete: AtomicU64,
    slow: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

/// Keeps a counter one higher until it is dropped.
pub(super) struct Counted(Arc<AtomicU64>);

impl Counted {
    fn new(counter: &Arc<AtomicU64>) -> Counted {
        counter.fetch_add(1, Ordering::Relaxed);
        Counted(counter.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    pub(super) fn run(&self) -> Counted {
        Counted::new(&self.running)
    }

    pub(super) fn queue(&self) -> Counted {
        Counted::new(&self.queued)
    }

    pub(super) fn ended(&self, is_complete: bool) {
        if is_complete {
            self.complete.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn slow(&self) {
        self.slow.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, error: &Error) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(reason(error)).or_default() += 1;
    }

    pub(super) fn usage(&self, workers: usize, memory_bytes: u64, died: u64) -> Usage {
        Usage {
            running: self.running.load(Ordering::Relaxed),
            queued: self.queued.load(Ordering::Relaxed),
            workers,
            memory_bytes,
            complete: self.complete.load(Ordering::Relaxed),
            refused: self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            slow: self.slow.load(Ordering::Relaxed),
            died,
        }
    }
}

fn reason(error: &Error) -> &'static str {
    match error {
        Error::Limit(text) | Error::Busy(text) => {
            let named = |setting: &&&str| {
                text.split("sql.").skip(1).any(|rest| {
                    rest.strip_prefix(**setting).is_some_and(|rest| !rest.starts_with(['_', 's']))
                })
            };
            SETTINGS.iter().find(named).copied().unwrap_or("other")
        }
        Error::Sql(_) => "sql",
        Error::Store { .. } => "store",
        Error::Engine(_) => "engine",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_setting_that_the_error_names() {
        let limit = |text: &str| reason(&Error::Limit(text.to_owned()));
        assert_eq!(limit("more than 3 rows (sql.max_rows); add LIMIT"), "max_rows");
        assert_eq!(limit("a row larger than sql.max_row (1 MiB)"), "max_row");
        assert_eq!(limit("more memory than sql.memory allows"), "memory");
        assert_eq!(limit("too deep"), "other");
        assert_eq!(reason(&Error::Sql("sql.memory".to_owned())), "sql");
    }
}
