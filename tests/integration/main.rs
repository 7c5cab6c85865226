//! Integration tests: they speak at the boundary (files in, HTTP, SQL, command line and files out).
//!
//! One binary with folders, so that it links once. `support` makes stores and lakes; each folder tests one
//! face, and `brokers` runs the same scenarios over each system. `reports` holds stores that users had trouble with, each with a case that says what comes out of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

/// As the program has it; the system's own is much slower with many small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod api;
mod brokers;
mod cli;
mod follow;
mod house;
mod http;
mod import;
mod lake;
mod peer;
mod peer_self;
mod reports;
mod rocketmq;
mod rocketmq_peer;
mod rocketmq_peer_self;
mod scenarios;
mod sql;
mod support;
