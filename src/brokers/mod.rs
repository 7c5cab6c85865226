//! The systems whose history is kept, each in a folder of its own with the same floors in the data's order.
//!
//! `format` decodes bytes, `wire` speaks with brokers, `store` reads their files, `replay` makes rows of records, `follow`
//! and `import` drive the two ways in. This file is the only place outside of the folders that names them; the rest of the
//! program meets them through the traits of [`crate::stream`]. A system never knows HTTP, the command line, or another
//! system.

pub mod qmq;
pub mod rocketmq;

use crate::lake::{StreamId, StreamInfo};
use crate::stream::System;

/// All systems.
pub(crate) static ALL: [&dyn System; 2] = [&rocketmq::RocketMq, &qmq::Qmq];

/// The streams that a broker group can have; none of a system that is not known.
#[must_use]
pub fn streams_of(info: &StreamInfo) -> Vec<StreamId> {
    named(&info.system).map(|system| system.streams_of(info)).unwrap_or_default()
}

/// The system with this name.
pub(crate) fn named(name: &str) -> Option<&'static dyn System> {
    ALL.into_iter().find(|system| system.name() == name)
}
