//! mqlake: message history and trace analytics for message queues, on columnar storage.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod brokers;
pub mod cli;
pub mod codec;
pub mod config;
mod durable;
pub mod error;
pub mod follow;
pub mod http;
pub mod lake;
pub mod query;
pub mod rows;
pub mod stream;
mod upkeep;
pub mod wire;
