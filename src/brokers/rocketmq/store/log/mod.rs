//! The commit log of a RocketMQ broker on disk, walked record by record.
//!
//! This module knows files, torn tails, gaps, damage and remains of older data. It never interprets a record beyond
//! what proves it sound, never writes anything, takes no lock, and can read while the broker runs.

mod commit_log;
mod error;
mod files;
mod item;
mod layout;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod made_log;
mod open_file;
mod queue_ends;
mod walk_options;
mod walker;

pub use commit_log::CommitLog;
pub use error::Error;
pub use files::LogFile;
pub use item::{Damage, DamageReason, EndReason, Event, Item};
pub use walk_options::WalkOptions;
pub use walker::Walker;
