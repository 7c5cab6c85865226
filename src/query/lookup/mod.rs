//! Lookups: the access patterns of the documented API, straight to the pages that hold the rows.
//!
//! Files are pruned in memory by their statistics, row groups by theirs and by bloom filters, pages by the
//! page index; only the surviving pages are read and decoded. Planning an SQL query for the same question
//! costs more than answering it.

mod condition;
mod find;
mod newest;
mod pages;
mod rows;

pub use condition::Condition;
pub(super) use condition::Numbers;
pub use find::find;
pub use newest::{NewestQuery, newest};
pub use rows::{ContentRow, MessageKey, MessageRow, RecordRow};
