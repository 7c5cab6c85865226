//! mqlake: message history and trace analytics for message queues, on columnar storage.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod cli;
pub mod config;
mod durable;
pub mod error;
pub mod follow;
pub mod http;
pub mod ingest;
pub mod lake;
pub mod qmq;
pub mod query;
pub mod replay;
pub mod rocketmq;
pub mod source;
pub mod spool;
