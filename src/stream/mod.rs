//! TODO stream

mod commit;
mod flush;
mod gaps;
mod pause;
mod pipeline;
mod progress;
mod replay;
pub mod spool;
mod status;
mod wake;
mod worker;

pub(crate) use commit::{Encoded, TablePosition, blocking, encode, encode_ahead};
pub(crate) use gaps::Gaps;
pub(crate) use pause::{Backoff, IdlePause};
pub(crate) use pipeline::{Pipeline, Shared, spool_folder};
pub use progress::Progress;
pub use status::{Board, SourceStatus, StreamState};
pub(crate) use worker::HotBytes;
