//! Folders of consume queues.

use std::path::PathBuf;

/// A directory with the files of one consume queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueDirectory {
    /// Name of the topic.
    pub topic: String,
    /// Number of the queue in the topic.
    pub queue_id: i32,
    /// Whether its items are those of a batch queue.
    pub is_batch: bool,
    /// The directory.
    pub path: PathBuf,
}
