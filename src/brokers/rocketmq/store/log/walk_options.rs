//! Where a walk over a commit log begins, and what is known about its end.

/// How a log is walked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WalkOptions {
    /// Physical offset to start at: between two records, or the start of a file. The start of the log if not given.
    pub from: Option<u64>,
    /// Store timestamp of the record before `from`. Without it, remains of older records that begin exactly at `from`
    /// cannot be distinguished from new ones.
    pub last_stored: Option<i64>,
    /// The log is known to reach at least to this physical offset, for example because consume queues name the record
    /// before it. Nothing before it is taken for the end of the log or for remains of older records.
    pub confirmed_end: Option<u64>,
    /// The log before `from` is known to be unchanged. Then it is damage if no record begins there, not a sign of
    /// another log.
    pub is_same_log: bool,
}
