//! TODO brokers::qmq::follow

mod action;
mod contents;
mod detail_servers;
pub(crate) mod frames;
mod index;
mod link;
mod runs;
mod same_log;
mod seek;
mod skip;
mod source;
mod stretch;

pub(crate) use detail_servers::DetailServers;
pub(crate) use frames::{ACTIONS, Entry, GAP, INDEX, MESSAGES};
pub use seek::{SeekTarget, seek};
pub(crate) use skip::Skip;
pub(crate) use source::Source;
