//! mqlake: message history and trace analytics for message queues, on columnar storage.
//!
//! # Modules
//!
//! The way of data from a broker to an answer:
//!
//! | module | what it does |
//! | --- | --- |
//! | [`brokers`] | one folder per system: formats, protocols, store directories, replay of records to rows |
//! | [`stream`] | the engine of all systems: spool, worker and flusher of followed streams, the import loop |
//! | [`rows`] | rows of a batch, column by column, and their order |
//! | [`lake`] | sorted Parquet files in Delta tables; commits of files together with stream positions |
//! | [`query`] | snapshots with the rows that are not committed yet, lookups, SQL |
//! | [`http`] | routes, JSON, metrics |
//! | [`cli`] | the commands of the program |
//!
//! Beside them stand [`follow`] (starts and stops all followers), `upkeep` (merges and expires files while sources are
//! followed), [`config`] (settings), [`wire`], `file_window` and [`codec`] (shared by clients, readers and decoders),
//! `durable` (file names that survive a power loss) and [`error`]. A module uses only those below it in the list of `ARCHITECTURE.md`, which also names the invariants.
//!
//! # Example
//!
//! Read an existing lake with SQL:
//!
//! ```no_run
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//!
//! use mqlake::config::Config;
//! use mqlake::lake::{Lake, Store};
//! use mqlake::query::{Catalog, SqlEngine};
//!
//! # async fn example() -> mqlake::error::Result<()> {
//! let config = Config::default();
//! let store = Store::open("./mqlake-data", &BTreeMap::new())?;
//! let lake = Lake::open_existing(store, config.lake.clone()).await?;
//! let catalog = Catalog::open(Arc::new(lake), &config.cache).await?;
//! let sql = SqlEngine::new(Arc::new(catalog), config.sql.clone())?;
//! let mut rows = sql.query("SELECT subject, count(*) FROM message GROUP BY subject").await?;
//! while let Some(batch) = rows.next().await? {
//!     println!("{} subjects", batch.num_rows());
//! }
//! # Ok(())
//! # }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod brokers;
pub mod cli;
pub mod codec;
pub mod config;
mod durable;
pub mod error;
mod file_window;
pub mod follow;
pub mod http;
pub mod lake;
pub mod query;
pub mod rows;
pub mod stream;
mod upkeep;
pub mod wire;
