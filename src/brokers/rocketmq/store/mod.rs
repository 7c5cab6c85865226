//! The store directory of a RocketMQ broker on disk.

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
