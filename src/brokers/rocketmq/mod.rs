//! RocketMQ's sources: the store directory of a broker ([`store`]), its commit log ([`log`]), and a running cluster
//! ([`remote`]).
//!
//! Nothing here writes to a store or interprets a record beyond what proves it sound.

pub mod follow;
pub mod format;
pub mod import;
pub mod replay;
pub mod store;
pub mod trace;
pub mod wire;

pub(crate) use follow::RocketMqCluster;
pub use import::{RocketMqImport, RocketMqSummary, check_rocketmq_store};
pub use replay::{
    ProgressSample, ROCKETMQ_TABLES, RocketMqBatch, RocketMqCounts, RocketMqReplay, RocketMqSettings,
    TableFloor, TraceCarrier, lost_key_text,
};
