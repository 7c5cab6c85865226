//! Queries over pinned snapshots of the lake: lookups for the API's access patterns, SQL for everything else.
//!
//! Both read the same files through the same cache. Nothing here writes to the store or knows HTTP.

mod catalog;
mod files;
mod functions;
mod gather_runs;
mod isolated;
mod limits;
pub mod lookup;
pub mod moment;
mod page_cache;
mod provider;
mod rows;
mod runs;
mod session;
mod sql;
mod subjects;

pub use catalog::{Catalog, HotFile, Pinned, PinnedTable};
pub use files::FileCache;
pub(crate) use functions::{PreviewQuery, literal};
pub use isolated::{IsolatedSql, Program, Usage, WORKER_COMMAND, run_worker};
pub(crate) use limits::too_long;
pub use rows::SqlRows;
pub use sql::SqlEngine;
