//! A broker's store directory: its logs on disk, walked record by record.
//!
//! This module knows segments, torn tails, gaps and corruption. It never interprets a record beyond what proves it
//! sound, and never writes anything.

mod format;
mod reader;
mod segments;
mod store_dir;

pub use format::{ActionFormat, IndexFormat, LogFormat, MessageFormat, MessageItem, Step};
pub use reader::{LogReader, ReadOptions, Seen};
pub use segments::{Segment, Segments};
pub use store_dir::{BrokerStore, MessageSource};
