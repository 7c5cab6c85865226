//! A RocketMQ broker's store directory: which files it holds, its commit log ([`log`]), its consume queues and its
//! configuration.
//!
//! It knows torn files, damage and storage modes that are not read. It never interprets a record beyond what proves it
//! sound, never writes anything, and can read while the broker runs.

mod config_file;
mod confirmed_end;
mod directory;
mod error;
mod feature;
mod files;
pub mod log;
mod queue;

pub use directory::StoreDirectory;
pub use error::StoreError;
pub use feature::Feature;
pub use files::NumberedFile;
pub use queue::QueueDirectory;
