//! Shared by the decoders of all formats: a cursor over bytes, lenient JSON, addresses, offset ids, checksums over
//! records. Pure; nothing here knows a broker, a file or a table.

pub mod cursor;
pub mod host;
pub mod json;
pub mod offset_id;
mod sum;

pub use sum::Sum;
