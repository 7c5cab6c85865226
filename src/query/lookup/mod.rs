//! Lookups: the access patterns of the documented API, which read only the pages that hold the rows.
//!
//! Files are pruned in memory by their statistics, row groups by statistics and bloom filters, and pages by the page
//! index. Only the remaining pages are read and decoded. Planning an SQL statement for the same rows costs more than
//! the lookup.

mod condition;
mod find;
mod keys;
mod marks;
mod newest;
mod pages;
mod positions;
mod rows;
mod stored;
mod window;

pub use condition::Condition;
pub(crate) use condition::Numbers;
pub use find::{find, find_anywhere};
pub use keys::{KeyHit, KeyQuery, key_hits, key_hits_of, messages_of, messages_with_key};
pub use marks::{Mark, marks};
pub use newest::{NewestQuery, newest};
pub use positions::{Position, rows_at};
pub(crate) use rows::numbers;
pub use rows::{ContentRow, MessageKey, MessageRow, RecordRow};
pub use stored::{MessagePlace, StoredMessage};
pub use window::{Order, SubjectQuery, WindowQuery, window};
