//! The store directory of a RocketMQ broker on disk.

mod config_file;
mod confirmed_end;
mod directory;
mod feature;
mod files;
pub mod log;

pub use directory::{QueueDirectory, StoreDirectory, StoreError};
pub use feature::Feature;
pub use files::NumberedFile;
