//! RocketMQ's sources: the store directory of a broker ([`store`]), its commit log ([`log`]), and a running cluster
//! ([`remote`]).
//!
//! Nothing here writes to a store or interprets a record beyond what proves it sound.

pub mod log;
pub mod remote;
pub mod store;
