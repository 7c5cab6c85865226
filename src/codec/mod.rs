//! What decoders of bytes share, whatever the format: a cursor over bytes, lenient JSON, addresses, ids made of a place,
//! sums over records. Pure; nothing here knows a broker, a file or a table.

pub mod cursor;
pub mod host;
pub mod json;
pub mod offset_id;
mod sum;

pub use sum::Sum;
