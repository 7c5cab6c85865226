//! The systems whose history is kept: one folder each, with the same subfolders in the order in which data passes them.
//!
//! `format` decodes bytes, `wire` speaks with brokers, `store` reads their files, `replay` turns records into rows, and
//! `follow` and `import` are the two ways in. This file is the registry: the engine, the tables and
//! queries know systems only through it and the traits of [`crate::stream`]. A system never knows HTTP, the command line or another
//! system.

pub mod qmq;
pub mod rocketmq;

use crate::lake::{StreamId, StreamInfo};
use crate::stream::System;

/// All systems.
pub(crate) static ALL: [&dyn System; 2] = [&rocketmq::RocketMq, &qmq::Qmq];

/// The streams that a broker group can have; none if the system is unknown.
#[must_use]
pub fn streams_of(info: &StreamInfo) -> Vec<StreamId> {
    named(&info.system).map(|system| system.streams_of(info)).unwrap_or_default()
}

/// The system with this name.
pub(crate) fn named(name: &str) -> Option<&'static dyn System> {
    ALL.into_iter().find(|system| system.name() == name)
}
