//! The store directory of a RocketMQ broker on disk.

mod config_file;
mod confirmed_end;
mod feature;
mod files;
mod directory;

pub use feature::Feature;
pub use files::NumberedFile;
pub use directory::{QueueDirectory, StoreDirectory, StoreError};
