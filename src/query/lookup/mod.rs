//! Lookups: the access patterns of the documented API, straight to the pages that hold the rows.
//!
//! Files are pruned in memory by their statistics, row groups by theirs and by bloom filters, pages by the
//! page index; only the surviving pages are read and decoded. Planning an SQL query for the same question
//! costs more than answering it.

mod condition;
mod find;
mod keys;
mod marks;
mod newest;
mod pages;
mod places;
mod rows;
mod stored;
mod window;

pub use condition::Condition;
pub(crate) use condition::Numbers;
pub use find::{find, find_anywhere};
pub use keys::{KeyHit, KeyQuery, key_hits, key_hits_of, messages_of, messages_with_key};
pub use marks::{Mark, marks};
pub use newest::{NewestQuery, newest};
pub use places::{Place, rows_at};
pub(crate) use rows::numbers;
pub use rows::{ContentRow, MessageKey, MessageRow, RecordRow};
pub use stored::{MessagePlace, StoredMessage};
pub use window::{Order, SubjectQuery, WindowQuery, window};
