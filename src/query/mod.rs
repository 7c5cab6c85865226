//! Queries over pinned snapshots of the lake: lookups for the API's access patterns, SQL for everything else.
//!
//! Both read the same files through the same cache. Nothing here writes, and nothing speaks HTTP.

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
pub use files::{CachedReader, FileCache, FileIndex};
pub use functions::PreviewQuery;
pub use isolated::{IsolatedSql, Program, Usage, WORKER_COMMAND, run_worker};
pub(crate) use limits::too_long;
pub use rows::SqlRows;
pub use runs::{FileRuns, Run, span_column};
pub use session::views;
pub use sql::SqlEngine;
