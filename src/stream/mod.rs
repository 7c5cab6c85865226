//! The stream engine: from received bytes to commits, for any system.
//!
//! ```text
//! follow: source ─► spool ─► worker ─► hot rows (query::Catalog)
//!                              └─► flusher ─► lake
//! import: log reader ─► encode ahead ─► lake
//! ```
//!
//! A system implements [`Replay`] (its records become rows), [`LogReader`] (import of its logs) and [`Follower`] (following
//! its brokers). Everything else is here, once. A [`Pipeline`] is one followed stream: its source appends to the spool, a
//! thread replays the spool and makes rows visible, and a task commits them. Each stage continues while the next one is
//! blocked: queries while the broker is away, receiving while the store is. Nothing here knows a broker or answers queries.
//!
//! Invariants that survive every crash: **SPOOL-DURABLE** (spool), **SPOOL-BEFORE-COMMIT** (flush), **EXACTLY-ONCE**
//! (lake::table), **VISIBLE-ONCE** (query::catalog), **PROJECTION** (import).

mod commit;
mod conventions;
mod cut;
mod flush;
mod gaps;
mod import;
mod pause;
mod pipeline;
mod progress;
mod replay;
mod request;
pub mod spool;
mod status;
mod system;
mod wake;
mod worker;

pub(crate) use commit::{TablePosition, encode, is_uneven, lowest};
pub(crate) use conventions::Conventions;
pub(crate) use cut::HotBytes;
pub(crate) use gaps::Gaps;
pub(crate) use import::{Flushes, Imported, LogReader};
pub(crate) use pause::{Backoff, IdlePause};
pub(crate) use pipeline::{Pipeline, Shared, spool_folder};
pub use progress::Progress;
pub(crate) use replay::{Batch, Pending, Replay};
pub use request::Skipped;
pub(crate) use request::check_group;
pub use status::{Board, SourceStatus, StreamState};
pub(crate) use system::{Follower, GroupPosition, Orders, QueueReset, Sender, System};
